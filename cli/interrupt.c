/* SPDX-License-Identifier: MIT */
#include "cli/interrupt.h"

#include <signal.h>
#include <stddef.h>

static volatile sig_atomic_t is_asked;

static void ask(int signal_number)
{
    (void)signal_number;
    is_asked = 1;
}

void interrupt_catch(void)
{
    /* A write that waits for its reader is not broken: what was found out is still told. */
    struct sigaction action = {.sa_handler = ask, .sa_flags = (int)(SA_RESETHAND | SA_RESTART)};
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

bool interrupt_is_asked(void)
{
    return is_asked != 0;
}
