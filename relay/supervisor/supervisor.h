/* SPDX-License-Identifier: MIT
 *
 * supervisor: the privileged process. It opens sockets when rules need them, keeps workers running,
 * follows interfaces, reports. It never touches a packet.
 */
#ifndef SUPERVISOR_H
#define SUPERVISOR_H

#include "contract/rules.h"
#include "supervisor/config.h"

/* Runs the relay until SIGTERM or SIGINT. Takes over the rules. 0; or a negative errno after one
 * line in the log. */
int supervisor_run(const struct config *config, struct rules *rules);

#endif
