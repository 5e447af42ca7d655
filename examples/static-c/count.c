#include <stdio.h>

/* Counts the lines on standard input. */
int main(void)
{
    unsigned long lines = 0;
    for (int c = getchar(); c != EOF; c = getchar()) lines += c == '\n';
    printf("%lu\n", lines);
    return 0;
}
