/* SPDX-License-Identifier: MIT
 *
 * capabilities: what the supervisor keeps of root's powers once files and the control socket are
 * open, and why:
 *
 *   CAP_NET_RAW             packet sockets, for interfaces that come back and rules that are added
 *   CAP_NET_ADMIN           socket buffers beyond net.core.wmem_max; --exclusive attaches a program
 *   CAP_NET_BIND_SERVICE    a source_port below 1024 of an output
 *   CAP_BPF                 loads it; kept with --exclusive only
 *   CAP_SETUID, CAP_SETGID  a worker gives up root for --user
 *   CAP_KILL                ends a worker, which is another user's process by then, and lets the
 *                           kernel do so when the supervisor dies
 */
#ifndef CAPABILITIES_H
#define CAPABILITIES_H

#include "supervisor/config.h"

/* Is there what the relay cannot do without? 0; or -EPERM after one line
 * in the log. */
int capabilities_check(const struct config *config);

/* Keeps the above, of what there is, and the right to gain no more, for the workers as well. Root
 * loses its power over other users' files with that, unless it needs it to write or read again a
 * file of the configuration. 0; or a negative errno after one line in the log. */
int capabilities_limit(const struct config *config);

#endif
