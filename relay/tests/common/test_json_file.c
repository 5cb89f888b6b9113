// SPDX-License-Identifier: MIT
/* json_file: a reader sees the old file or the new one, whole; nothing else stays behind. Patience
 * is over with the second look at the clock, where anybody has to be waited for. */
#include "common/json_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "../made_up_clock.h"

static char folder[64], path[96];
static json_t *small;
static void (*after_the_look)(
	void); /* what somebody else does between a look at the path and its use */

/* Instead of the C library's. */
int lstat(const char *name, struct stat *status)
{
	const int rc = fstatat(AT_FDCWD, name, status, AT_SYMLINK_NOFOLLOW);

	if (after_the_look)
		after_the_look();
	return rc;
}

static int setup(void **state)
{
	(void)state;
	look_ms = 1000;
	strcpy(folder, "/tmp/test_json_file.XXXXXX");
	if (!mkdtemp(folder))
		return -1;
	snprintf(path, sizeof(path), "%s/stats.json", folder);
	small = json_pack("{s:i}", "answer", 42);
	return small ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	json_decref(small);
	chmod(folder, 0700);
	unlink(path);
	rmdir(path);	      /* of test_path_is_a_folder */
	return rmdir(folder); /* fails if anything was left behind */
}

static unsigned files_in_folder(void)
{
	DIR *dir = opendir(folder);
	unsigned count = 0;
	const struct dirent *entry;

	assert_non_null(dir);
	while ((entry = readdir(dir)))
		count += entry->d_name[0] != '.';
	closedir(dir);
	return count;
}

static void assert_answer(int expected)
{
	json_t *found = json_load_file(path, 0, NULL);

	assert_non_null(found);
	assert_int_equal(json_integer_value(json_object_get(found, "answer")), expected);
	json_decref(found);
}

static json_t *big(void)
{
	json_t *object = json_object();

	for (int i = 0; i < 20000; i++) {
		char key[32];

		snprintf(key, sizeof(key), "key-%d", i);
		json_object_set_new(object, key, json_integer(i));
	}
	json_object_set_new(object, "answer", json_integer(43));
	return object;
}

static void test_new_file(void **state)
{
	char text[64] = "";
	FILE *file;

	(void)state;
	assert_int_equal(json_file_write(path, small), 0);
	assert_answer(42);
	assert_int_equal(files_in_folder(), 1);
	file = fopen(path, "r");
	assert_non_null(file);
	assert_true(fread(text, 1, sizeof(text) - 1, file) > 0);
	fclose(file);
	assert_string_equal(text, "{\n \"answer\": 42\n}\n");
}

/* Who has the old file open keeps reading the old file. */
static void test_replaced_whole(void **state)
{
	json_t *value = big();
	char text[64] = "";
	int fd;

	(void)state;
	assert_int_equal(json_file_write(path, small), 0);
	fd = open(path, O_RDONLY);
	assert_true(fd >= 0);
	assert_int_equal(json_file_write(path, value), 0);
	assert_answer(43);
	assert_int_equal(files_in_folder(), 1);
	assert_true(read(fd, text, sizeof(text) - 1) > 0);
	assert_string_equal(text, "{\n \"answer\": 42\n}\n");
	close(fd);
	json_decref(value);
}

static void test_no_such_folder(void **state)
{
	(void)state;
	assert_int_equal(json_file_write("/tmp/no/such/folder/stats.json", small), -ENOENT);
	assert_int_equal(json_file_check("/tmp/no/such/folder/stats.json"), -ENOENT);
}

static void test_unwritable_folder(void **state)
{
	const uid_t was = geteuid();

	(void)state;
	assert_int_equal(json_file_write(path, small), 0);
	assert_int_equal(chmod(folder, 0555), 0);
	/* root may write anywhere; nobody may not */
	if (was == 0)
		assert_int_equal(seteuid(65534), 0);
	assert_int_equal(json_file_write(path, small), -EACCES);
	assert_int_equal(json_file_check(path), -EACCES);
	if (was == 0)
		assert_int_equal(seteuid(0), 0);
	assert_answer(42);
	assert_int_equal(files_in_folder(), 1);
}

/* The disk is full: for this process, at 4096 bytes a file. */
static void write_on_full_disk(json_t *value, int expected)
{
	struct rlimit limit, was;
	int rc;

	assert_int_equal(getrlimit(RLIMIT_FSIZE, &was), 0);
	limit = (struct rlimit){.rlim_cur = 4096, .rlim_max = was.rlim_max};
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	rc = json_file_write(path, value);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &was), 0);
	assert_int_equal(rc, expected);
}

static void test_full_disk(void **state)
{
	json_t *value = big();

	(void)state;
	assert_int_equal(json_file_write(path, small), 0);
	write_on_full_disk(value, -EFBIG);
	assert_answer(42);
	assert_int_equal(files_in_folder(), 1);
	json_decref(value);
}

/* 4102 bytes: the last few are written by fclose(), which fails. */
static void test_full_disk_at_close(void **state)
{
	char filler[4087];
	json_t *value;

	(void)state;
	memset(filler, 'x', sizeof(filler) - 1);
	filler[sizeof(filler) - 1] = '\0';
	value = json_pack("{s:s}", "text", filler);
	assert_int_equal(json_file_write(path, small), 0);
	write_on_full_disk(value, -EFBIG);
	assert_answer(42);
	assert_int_equal(files_in_folder(), 1);
	write_on_full_disk(small, 0);
	json_decref(value);
}

/* Writing, appending and the check before them. */
static void assert_refused(int rc)
{
	assert_int_equal(json_file_write(path, small), rc);
	assert_int_equal(json_file_append(path, small), rc);
	assert_int_equal(json_file_check(path), rc);
}

/* Whoever may write to the folder may have put it there. */
static void test_symbolic_link(void **state)
{
	char other[128], target[128];

	(void)state;
	snprintf(other, sizeof(other), "%s/other", folder);
	assert_int_equal(symlink("other", path), 0);
	assert_refused(-ELOOP); /* to nothing */
	assert_int_equal(access(other, F_OK), -1);
	assert_int_equal(json_file_write(other, small), 0);
	assert_refused(-ELOOP);
	assert_non_null(strstr(json_file_reason(-ELOOP), "symbolic link"));
	assert_int_equal(readlink(path, target, sizeof(target)), strlen("other"));
	unlink(other);
}

static void assert_file(mode_t mode, uid_t uid, gid_t gid)
{
	struct stat status;

	assert_int_equal(lstat(path, &status), 0);
	assert_int_equal(status.st_mode, S_IFREG | mode);
	assert_int_equal(status.st_uid, uid);
	assert_int_equal(status.st_gid, gid);
}

/* The new file is as the old one was; a set-user-ID bit does not stay. */
static void test_mode_stays(void **state)
{
	static const mode_t modes[] = {0600, 0640, 0666, 0444};
	const mode_t before = umask(022);

	(void)state;
	assert_int_equal(json_file_write(path, small), 0);
	assert_file(0644, geteuid(), getegid());
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		assert_int_equal(chmod(path, modes[i]), 0);
		assert_int_equal(json_file_write(path, small), 0);
		assert_file(modes[i], geteuid(), getegid());
	}
	assert_int_equal(chmod(path, 04755), 0);
	assert_int_equal(json_file_write(path, small), 0);
	assert_file(0755, geteuid(), getegid());
	umask(before);
}

static void test_owner_stays(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip();
	assert_int_equal(json_file_write(path, small), 0);
	assert_int_equal(chown(path, 65534, 1), 0);
	assert_int_equal(chmod(path, 0640), 0);
	assert_int_equal(json_file_write(path, small), 0);
	assert_file(0640, 65534, 1);
	/* by one who cannot give it away: nobody else may read it than before */
	assert_int_equal(chown(path, 0, 1), 0);
	assert_int_equal(chown(folder, 65534, 0), 0);
	assert_int_equal(seteuid(65534), 0);
	assert_int_equal(json_file_write(path, small), 0);
	assert_int_equal(seteuid(0), 0);
	assert_file(0640, 65534, 0);
}

/* Where anybody can have put the old file, the new one is ours alone. */
static void test_planted_old_file(void **state)
{
	const mode_t before = umask(022);

	(void)state;
	if (geteuid() != 0)
		skip();
	assert_int_equal(json_file_write(path, small), 0);
	assert_int_equal(chown(path, 65534, 65534), 0);
	assert_int_equal(chmod(path, 0666), 0);
	assert_int_equal(chmod(folder, 01777), 0);
	assert_int_equal(json_file_write(path, small), 0);
	assert_file(0644, 0, 0);
	umask(before);
}

/* At the name that the file has until it is complete. */
static void test_planted_temporary(void **state)
{
	char planted[128], other[128];

	(void)state;
	snprintf(planted, sizeof(planted), "%s.tmp.%d", path, (int)getpid());
	snprintf(other, sizeof(other), "%s/other", folder);
	assert_int_equal(symlink("other", planted), 0);
	assert_int_equal(json_file_check(path), 0);
	assert_int_equal(symlink("other", planted), 0);
	assert_int_equal(json_file_write(path, small), 0);
	assert_int_equal(mkfifo(planted, 0666), 0);
	assert_int_equal(json_file_write(path, small), 0);
	assert_answer(42);
	assert_int_equal(access(other, F_OK), -1);
	assert_int_equal(files_in_folder(), 1);
}

/* Not waited for, whether anybody is at its other end or not. */
static void test_fifo(void **state)
{
	int reader;

	(void)state;
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_refused(-ENXIO);
	reader = open(path, O_RDONLY | O_NONBLOCK);
	assert_refused(-ENXIO);
	assert_non_null(strstr(json_file_reason(-ENXIO), "FIFO"));
	close(reader);
}

static int reader;

static void become_fifo(void)
{
	after_the_look = NULL;
	assert_int_equal(mkfifo(path, 0600), 0);
	reader = open(path, O_RDONLY | O_NONBLOCK);
	assert_true(reader >= 0);
}

/* Lines meant for a file go nowhere else, not into a FIFO that has just taken its place either. */
static void test_fifo_after_the_look(void **state)
{
	char byte;

	(void)state;
	after_the_look = become_fifo;
	assert_int_equal(json_file_append(path, small), -ENXIO);
	assert_int_equal(read(reader, &byte, 1), 0);
	close(reader);
}

/* What /dev/stdout and the like are: here a pipe. */
static void test_open_descriptor(void **state)
{
	const char *expected = "{\n \"answer\": 42\n}\n{\"answer\":42}\n";
	char name[64], text[64] = "", byte = 'x';
	int ends[2];

	(void)state;
	assert_int_equal(pipe(ends), 0);
	snprintf(name, sizeof(name), "/dev/fd/%d", ends[1]);
	assert_int_equal(json_file_check(name), 0);
	assert_int_equal(json_file_write(name, small), 0);
	assert_int_equal(json_file_append(name, small), 0);
	assert_int_equal(read(ends[0], text, sizeof(text) - 1), strlen(expected));
	assert_string_equal(text, expected);
	/* full, and nobody reads */
	assert_int_equal(fcntl(ends[1], F_SETFL, O_NONBLOCK), 0);
	while (write(ends[1], &byte, 1) == 1)
		;
	assert_int_equal(json_file_write(name, small), -ETIMEDOUT);
	assert_int_equal(json_file_append(name, small), -ETIMEDOUT);
	close(ends[0]);
	close(ends[1]);
}

static void test_append(void **state)
{
	char text[64] = "";
	FILE *file;

	(void)state;
	assert_int_equal(json_file_append(path, small), 0);
	assert_int_equal(json_file_append(path, small), 0);
	file = fopen(path, "r");
	assert_non_null(file);
	assert_true(fread(text, 1, sizeof(text) - 1, file) > 0);
	fclose(file);
	assert_string_equal(text, "{\"answer\":42}\n{\"answer\":42}\n");
}

static void write_text(const char *text)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static void test_read(void **state)
{
	json_error_t error;
	json_t *found;
	int rc;

	(void)state;
	assert_null(json_file_read(path, 0, &error, &rc));
	assert_int_equal(rc, -ENOENT);
	assert_null(json_file_read(folder, 0, &error, &rc));
	assert_int_equal(rc, -EISDIR);
	write_text("{\"answer\":\n 42}");
	found = json_file_read(path, 0, &error, &rc);
	assert_int_equal(rc, 0);
	assert_true(json_equal(found, small));
	json_decref(found);
	write_text("{\"answer\":\n oops}");
	assert_null(json_file_read(path, 0, &error, &rc));
	assert_int_equal(rc, 0);
	assert_int_equal(error.line, 2);
}

/* A pipe that has it is read, one that nobody writes to is not waited for. */
static void test_read_pipe(void **state)
{
	const char *text = "{\"answer\":42}";
	json_error_t error;
	char name[64];
	int ends[2], rc;
	json_t *found;

	(void)state;
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_null(json_file_read(path, 0, &error, &rc));
	assert_int_equal(rc, -ETIMEDOUT);
	assert_int_equal(pipe(ends), 0);
	snprintf(name, sizeof(name), "/dev/fd/%d", ends[0]);
	assert_int_equal(write(ends[1], text, strlen(text)), strlen(text));
	assert_null(json_file_read(name, 0, &error, &rc)); /* there may be more */
	assert_int_equal(rc, -ETIMEDOUT);
	assert_int_equal(write(ends[1], text, strlen(text)), strlen(text));
	close(ends[1]);
	found = json_file_read(name, 0, &error, &rc);
	assert_int_equal(rc, 0);
	assert_true(json_equal(found, small));
	json_decref(found);
	close(ends[0]);
}

/* What is no regular file is written to as it is, and never removed. */
static void test_devices(void **state)
{
	(void)state;
	assert_int_equal(json_file_check("/dev/null"), 0);
	assert_int_equal(json_file_write("/dev/null", small), 0);
	assert_int_equal(json_file_write("/dev/full", small), -ENOSPC);
	assert_int_equal(access("/dev/null", F_OK), 0);
	assert_int_equal(access("/dev/full", F_OK), 0);
}

/* A folder in the file's place. */
static void test_path_is_a_folder(void **state)
{
	(void)state;
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(json_file_write(path, small), -EISDIR);
	assert_int_equal(files_in_folder(), 1);
}

static void test_path_too_long(void **state)
{
	char longest[PATH_MAX];

	(void)state;
	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	assert_int_equal(json_file_write(longest, small), -ENAMETOOLONG);
	assert_int_equal(json_file_check(longest), -ENAMETOOLONG);
	longest[300] = '\0'; /* more than a file name may have */
	assert_int_equal(json_file_write(longest, small), -ENAMETOOLONG);
	assert_int_equal(json_file_check(longest), -ENAMETOOLONG);
}

/* jansson writes no bare number as a document, and no NULL. */
static void test_not_a_document(void **state)
{
	json_t *number = json_integer(1);

	(void)state;
	assert_int_equal(json_file_write(path, small), 0);
	assert_int_equal(json_file_write(path, number), -EIO);
	assert_int_equal(json_file_write(path, NULL), -EIO);
	assert_answer(42);
	assert_int_equal(files_in_folder(), 1);
	json_decref(number);
}

static void test_check(void **state)
{
	(void)state;
	assert_int_equal(json_file_check(path), 0);
	assert_int_equal(files_in_folder(), 0);
	assert_int_equal(json_file_write(path, small), 0);
	assert_int_equal(json_file_check(path), 0);
	assert_answer(42);
	assert_int_equal(files_in_folder(), 1);
}

/* A series is not replaced: its file has to be writable, its folder only if there is none. */
static void test_check_append(void **state)
{
	const uid_t was = geteuid();

	(void)state;
	assert_int_equal(json_file_check_append(path), 0);
	assert_int_equal(files_in_folder(), 0);
	assert_int_equal(json_file_append(path, small), 0);
	assert_int_equal(json_file_check_append(path), 0);
	assert_int_equal(chmod(folder, 0777), 0);
	assert_int_equal(chmod(path, 0444), 0);
	/* root may write anywhere; nobody may not */
	if (was == 0)
		assert_int_equal(seteuid(65534), 0);
	assert_int_equal(json_file_check(path), 0);
	assert_int_equal(json_file_check_append(path), -EACCES);
	assert_int_equal(json_file_append(path, small), -EACCES);
	if (was == 0)
		assert_int_equal(seteuid(0), 0);
	assert_int_equal(chmod(folder, 0555), 0);
	assert_int_equal(chmod(path, 0666), 0);
	if (was == 0)
		assert_int_equal(seteuid(65534), 0);
	assert_int_equal(json_file_check(path), -EACCES);
	assert_int_equal(json_file_check_append(path), 0);
	if (was == 0)
		assert_int_equal(seteuid(0), 0);
	assert_answer(42); /* as it was */
	assert_int_equal(json_file_check_append("/dev/null"), 0);
	assert_int_equal(json_file_check_append("/tmp/no/such/folder/stats.jsonl"), -ENOENT);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_new_file),
		TEST(test_replaced_whole),
		TEST(test_no_such_folder),
		TEST(test_unwritable_folder),
		TEST(test_full_disk),
		TEST(test_full_disk_at_close),
		TEST(test_symbolic_link),
		TEST(test_mode_stays),
		TEST(test_owner_stays),
		TEST(test_planted_old_file),
		TEST(test_planted_temporary),
		TEST(test_fifo),
		TEST(test_fifo_after_the_look),
		TEST(test_open_descriptor),
		TEST(test_append),
		TEST(test_read),
		TEST(test_read_pipe),
		TEST(test_devices),
		TEST(test_path_is_a_folder),
		TEST(test_path_too_long),
		TEST(test_not_a_document),
		TEST(test_check),
		TEST(test_check_append),
	};

	return cmocka_run_group_tests_name("json_file", tests, NULL, NULL);
}
