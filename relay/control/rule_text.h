/* SPDX-License-Identifier: MIT
 *
 * rule_text: what a rule relays where, in one line of the log.
 */
#ifndef RULE_TEXT_H
#define RULE_TEXT_H

#include "contract/rules.h"

#define RULE_TEXT_BYTES 640

/* "239.1.1.1:5000 on eth0 from 10.1.0.0/16 to 239.2.2.2:6000 on eth1 and 3 more": the first few
 * sources and outputs. Returns `text`. */
const char *rule_format(const struct rule *rule, char text[RULE_TEXT_BYTES]);

#endif
