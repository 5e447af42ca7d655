/*
 * Compiles a profile with libseccomp, to compare our programs with. Standard input, a line each:
 *   default ACTION | arch NUMBER | rule ACTION NAME { INDEX OP VALUE VALUETWO }
 * and the program goes to standard output. "known" as argument: the names of standard input that the library knows.
 */
#include <errno.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int fail(const char *what, int error)
{
    fprintf(stderr, "%s: %s\n", what, strerror(error < 0 ? -error : error));
    return 1;
}

static enum scmp_compare find_comparison(const char *name)
{
    static const char *const names[] = {"", "NE", "LT", "LE", "EQ", "GE", "GT", "MASKED_EQ"};
    for (int i = 1; i < 8; i++) {
        if (strcmp(names[i], name) == 0) return (enum scmp_compare)i;
    }
    return 0;
}

static int add_rule(scmp_filter_ctx context, char *rest)
{
    struct scmp_arg_cmp args[6];
    unsigned count = 0;
    uint32_t action = (uint32_t)strtoul(strtok(rest, " \n"), NULL, 10);
    const char *name = strtok(NULL, " \n");
    for (char *index; (index = strtok(NULL, " \n"));) {
        enum scmp_compare op = find_comparison(strtok(NULL, " \n"));
        unsigned long long one = strtoull(strtok(NULL, " \n"), NULL, 10);
        unsigned long long two = strtoull(strtok(NULL, " \n"), NULL, 10);
        args[count++] = (struct scmp_arg_cmp){.arg = (unsigned)atoi(index), .op = op, .datum_a = one, .datum_b = two};
    }
    int result = seccomp_rule_add_array(context, action, seccomp_syscall_resolve_name(name), count, args);
    return result == 0 ? 0 : fail(name, result);
}

int main(int argc, char **argv)
{
    char line[4096];
    scmp_filter_ctx context = NULL;
    while (fgets(line, sizeof line, stdin)) {
        if (argc > 1 && strcmp(argv[1], "known") == 0) {
            line[strcspn(line, "\n")] = 0;
            if (seccomp_syscall_resolve_name(line) != __NR_SCMP_ERROR) printf("%s\n", line);
            continue;
        }
        char *rest = strchr(line, ' ');
        *rest++ = 0;
        if (strcmp(line, "default") == 0) {
            context = seccomp_init((uint32_t)strtoul(rest, NULL, 10));
            if (!context || seccomp_attr_set(context, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS) < 0) return fail("init", ENOMEM);
        } else if (strcmp(line, "arch") == 0) {
            int result = seccomp_arch_add(context, (uint32_t)strtoul(rest, NULL, 10));
            if (result < 0 && result != -EEXIST) return fail("arch", result);
        } else if (add_rule(context, rest)) {
            return 1;
        }
    }
    if (!context) return 0;
    return seccomp_export_bpf(context, 1) == 0 ? 0 : fail("export", errno);
}
