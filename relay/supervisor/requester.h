/* SPDX-License-Identifier: MIT
 *
 * requester: who has asked for something, as the log names it.
 */
#ifndef REQUESTER_H
#define REQUESTER_H

#include <sys/types.h>

#define REQUESTER_BYTES 96

/* "process 4711 (mcrelayctl)"; without the name when it has ended, "a process of another PID
 * namespace" for 0. Returns `text`. */
const char *process_format(pid_t pid, char text[REQUESTER_BYTES]);

/* "user 0, process 4711 (mcrelayctl)": what the kernel says stands before what the process says. */
const char *requester_format(pid_t pid, uid_t uid, char text[REQUESTER_BYTES]);

#endif
