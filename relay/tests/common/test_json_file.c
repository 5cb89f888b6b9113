// SPDX-License-Identifier: MIT
/* json_file: a reader sees the old file or the new one, whole; nothing else stays behind. */
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

static char folder[64], path[96];
static json_t *small;

static int setup(void **state)
{
	(void)state;
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

/* The file that a link names is replaced; the link stays. */
static void test_symbolic_link(void **state)
{
	char link[128], target[128];

	(void)state;
	snprintf(link, sizeof(link), "%s/link", folder);
	assert_int_equal(symlink("stats.json", link), 0);
	assert_int_equal(json_file_write(path, small), 0);
	assert_int_equal(json_file_check(link), 0);
	assert_int_equal(json_file_write(link, small), 0);
	assert_answer(42);
	assert_int_equal(files_in_folder(), 2);
	assert_int_equal(readlink(link, target, sizeof(target)), strlen("stats.json"));
	unlink(link);
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

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_new_file),	     TEST(test_replaced_whole),
		TEST(test_no_such_folder),   TEST(test_unwritable_folder),
		TEST(test_full_disk),	     TEST(test_full_disk_at_close),
		TEST(test_symbolic_link),    TEST(test_devices),
		TEST(test_path_is_a_folder), TEST(test_path_too_long),
		TEST(test_not_a_document),   TEST(test_check),
	};

	return cmocka_run_group_tests_name("json_file", tests, NULL, NULL);
}
