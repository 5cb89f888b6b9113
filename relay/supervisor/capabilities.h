/* SPDX-License-Identifier: MIT
 *
 * capabilities: what the supervisor keeps of root's powers once files and the control socket are
 * open. It has parsers: of rule files, of what comes over the control socket, HTTP and netlink.
 * They run with what is kept.
 *
 * Kept, as it is needed again and again:
 *
 *   CAP_NET_RAW     whenever an input is opened (a rule is added, an interface comes back): its
 *                   packet socket; or an output: to bind that to its interface
 *   CAP_NET_ADMIN   then, too: socket buffers beyond net.core.wmem_max, GRO with --gro, a
 *                   program with --exclusive; whenever a worker is started: its channel
 *   CAP_NET_BIND_SERVICE  whenever an output is opened: a source_port below 1024
 *   CAP_BPF         loads that program; with --exclusive only
 *   CAP_SETGID      whenever a worker is started, also years later in place of one that has
 *                   died: it gives up the groups of root; by root only
 *   CAP_IPC_LOCK    then, too: its io_urings are memory locked by root, which the kernel (since
 *                   6.14) counts together with that of all other programs of root, against
 *                   RLIMIT_MEMLOCK; by root only, and not for modes without io_uring
 *   CAP_SETUID      then, too: it becomes --user; by root only, and not for --user root
 *   CAP_KILL        ends a worker, which is another user's process by then, and lets the
 *                   kernel do so when the supervisor dies; where CAP_SETUID is
 *   CAP_DAC_OVERRIDE  only if the rule file or a statistics file cannot be used without it
 *
 * Given up, as it is needed at the start only: CAP_CHOWN (--control-group), CAP_SYS_RESOURCE
 * (descriptors), CAP_SETPCAP, which empties the bounding set; and all others of
 * root.
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
