/* SPDX-License-Identifier: MIT
 *
 * trafficgen: its subcommands. argv[0] is the subcommand's name; they return the exit code.
 */
#ifndef TRAFFICGEN_H
#define TRAFFICGEN_H

int send_main(int argc, char **argv);
int recv_main(int argc, char **argv);
int calibrate_main(int argc, char **argv);

#endif
