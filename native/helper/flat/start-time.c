#include "flat/start-time.h"

#include <sys/stat.h>

struct timespec let_clock_advance(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    nanosleep(&(const struct timespec){.tv_nsec = 20000000}, NULL);
    return now;
}

int stamp_start(int file)
{
    struct timespec now = let_clock_advance();
    return futimens(file, (const struct timespec[2]){now, now});
}
