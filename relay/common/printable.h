/* SPDX-License-Identifier: MIT
 *
 * printable: text from outside (names of files and interfaces, requests, answers), made fit for a
 * terminal, a log and JSON. All that people are shown passes here.
 */
#ifndef PRINTABLE_H
#define PRINTABLE_H

/* In place: each byte that belongs to no printable character becomes '?'. Printable is ASCII from
 * the blank to '~', and well-formed UTF-8 beyond it but for the controls from 0x80 to 0x9f (C1), of
 * which some begin a terminal's commands. A line break is not printable either. */
void printable_make(char *text);

/* The same of a text of several lines: line breaks stay. */
void printable_make_lines(char *text);

#endif
