/* SPDX-License-Identifier: MIT
 *
 * control_path: where relay and mcrelayctl meet unless told otherwise.
 */
#ifndef CONTROL_PATH_H
#define CONTROL_PATH_H

#define CONTROL_PATH_DEFAULT "/run/mcrelay/control.sock"

#endif
