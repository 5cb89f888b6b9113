/* SPDX-License-Identifier: MIT
 *
 * caught: what a parser of command lines prints, for the tests that look at it to the letter. To be
 * included behind cmocka.h.
 */
#ifndef CAUGHT_H
#define CAUGHT_H

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static char caught_errors[4096], caught_output[16384];

static int caught_redirect(int fd, FILE *file)
{
	int kept = dup(fd);

	assert_true(kept >= 0);
	assert_true(dup2(fileno(file), fd) >= 0);
	return kept;
}

static void caught_restore(int fd, int kept, FILE *file, char *text, size_t size)
{
	size_t length;

	assert_true(dup2(kept, fd) >= 0);
	close(kept);
	rewind(file);
	length = fread(text, 1, size - 1, file);
	text[length] = '\0';
	fclose(file);
}

/* Runs `parse` on the program's name and the arguments up to NULL. Returns what it returned. */
static int caught_parse(int (*parse)(int argc, char **argv, void *config), void *config,
			const char *name, va_list args)
{
	FILE *out = tmpfile(), *err = tmpfile();
	char *argv[320] = {(char *)name};
	int argc = 1, kept_out, kept_err, rc;

	while ((argv[argc] = va_arg(args, char *)))
		argc++;
	assert_true(out && err);
	fflush(stdout);
	kept_out = caught_redirect(STDOUT_FILENO, out);
	kept_err = caught_redirect(STDERR_FILENO, err);
	rc = parse(argc, argv, config);
	fflush(stdout);
	fflush(stderr);
	caught_restore(STDOUT_FILENO, kept_out, out, caught_output, sizeof(caught_output));
	caught_restore(STDERR_FILENO, kept_err, err, caught_errors, sizeof(caught_errors));
	return rc;
}

static void assert_accepted(int rc)
{
	assert_string_equal(caught_errors, "");
	assert_string_equal(caught_output, "");
	assert_int_equal(rc, 0);
}

/* Each refusal is one line: what, where, and where to read on. */
static void assert_refused(int rc, const char *name, const char *message)
{
	char line[1024];

	snprintf(line, sizeof(line), "%s: %s; see '%s --help'\n", name, message, name);
	assert_string_equal(caught_errors, line);
	assert_string_equal(caught_output, "");
	assert_int_equal(rc, -EINVAL);
}

#endif
