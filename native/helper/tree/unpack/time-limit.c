#include "tree/unpack/time-limit.h"

#include "report.h"
#include "tree/base/rule.h"
#include "tree/base/stage.h"

#include <signal.h>
#include <sys/time.h>
#include <unistd.h>

/* The only report until the work is done, so it meets no other half-written one. */
static void give_up(int signal)
{
    (void)signal;
    refuse(RULE_TIME, NULL, 0);
    _exit(1);
}

int limit_time(uint32_t seconds)
{
    struct sigaction action = {.sa_handler = give_up};
    struct itimerval timer = {.it_value = {.tv_sec = (time_t)seconds}};
    if (sigaction(SIGPROF, &action, NULL) < 0 || setitimer(ITIMER_PROF, &timer, NULL) < 0) return report_failure(STAGE_CONFINE, "time limit");
    return 0;
}
