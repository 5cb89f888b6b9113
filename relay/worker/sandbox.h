/* SPDX-License-Identifier: MIT
 *
 * sandbox: what a worker may do: the system calls of its loop, as an unprivileged user, on the
 * descriptors it is given. Everything else kills it. What it asks of an io_uring no filter sees:
 * uring.h limits that.
 */
#ifndef SANDBOX_H
#define SANDBOX_H

#include "contract/settings.h"

enum { SANDBOX_EVENTS = 2 };

/* Keeps the calling thread on a CPU; -1: on any. 0 or negative errno. */
int sandbox_pin(int cpu);

/* Gives up user, groups, capabilities and the right to gain any; then all system calls but those of
 * the loop in this mode. `events`: the eventfds that its threads read and write; -1: none. Asks the
 * kernel to end this process with its parent. 0; or a negative errno, after one line in the log. */
int sandbox_enter(const struct worker_settings *settings, const int events[SANDBOX_EVENTS]);

#endif
