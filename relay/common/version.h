/* SPDX-License-Identifier: MIT */
#ifndef VERSION_H
#define VERSION_H

#define MCRELAY_VERSION "0.1.0"

#endif
