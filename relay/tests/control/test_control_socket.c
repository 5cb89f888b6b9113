// SPDX-License-Identifier: MIT
/* control: its socket, who may use it, and what may be in its place. */
#include "control_fixture.h"

#include <fcntl.h>
#include <sys/stat.h>

static void assert_mode(mode_t mode)
{
	struct stat status;

	assert_int_equal(stat(path, &status), 0);
	assert_true(S_ISSOCK(status.st_mode));
	assert_int_equal(status.st_mode & 07777, mode);
}

static void test_mode(void **state)
{
	mode_t before;

	(void)state;
	assert_mode(0600);
	control_close(&control);
	before = umask(0);
	assert_int_equal(open_control(path, (gid_t)-1), 0);
	assert_int_equal(umask(before), 0); /* it has been put back */
	assert_mode(0600);
}

static void test_group(void **state)
{
	struct stat status;
	gid_t group = geteuid() == 0 ? 4321 : getegid();

	(void)state;
	control_close(&control);
	assert_int_equal(open_control(path, group), 0);
	assert_mode(0660);
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_gid, group);
	assert_int_equal(status.st_uid, geteuid());
}

static void test_close(void **state)
{
	int fd = connected();

	(void)state;
	turn();
	assert_int_equal(clients(), 1);
	control_close(&control);
	assert_int_equal(clients(), 0);
	assert_int_equal(recv(fd, (char[1]){0}, 1, 0), 0);
	assert_int_equal(access(path, F_OK), -1);
	control_close(&control); /* harmless */
	close(fd);
}

static void test_no_socket(void **state)
{
	struct pollfd fds[CONTROL_CLIENTS_MAX + 1];

	(void)state;
	control_close(&control);
	assert_int_equal(open_control(NULL, (gid_t)-1), 0);
	assert_int_equal(control_poll(&control, fds), 0);
	assert_int_equal(control_due_ms(&control), -1);
	control_close(&control);
}

/* A socket of `type` at `where`, on which nobody listens. */
static int bound(const char *where, int type)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);

	strcpy(address.sun_path, where);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

static void test_stale_socket(void **state)
{
	int fd;

	(void)state;
	control_close(&control);
	close(bound(path, SOCK_STREAM)); /* by a process that died */
	assert_int_equal(open_control(path, (gid_t)-1), 0);
	assert_mode(0600);
	fd = connected();
	say(fd, PING);
	assert_ok(fd);
	close(fd);
}

/* Must be refused with `rc`, leave a file of that kind behind, and no descriptor open. */
static void assert_not_opened(const char *where, int rc, mode_t kind)
{
	struct control other;
	struct stat status;
	int lowest = dup(STDERR_FILENO), then;

	close(lowest);
	assert_int_equal(control_open(&other, where, (gid_t)-1, answer, folder), rc);
	assert_int_equal(other.listener.fd, -1);
	control_close(&other); /* harmless */
	then = dup(STDERR_FILENO);
	close(then);
	assert_int_equal(then, lowest);
	if (!kind)
		return;
	assert_int_equal(lstat(where, &status), 0);
	assert_int_equal(status.st_mode & S_IFMT, kind);
}

static void test_live_socket(void **state)
{
	int fd;

	(void)state;
	assert_not_opened(path, -EADDRINUSE, S_IFSOCK);
	fd = connected(); /* unharmed */
	say(fd, PING);
	assert_ok(fd);
	close(fd);
}

/* One that is alive, but so busy that connect(2) would wait. */
static void test_busy_socket(void **state)
{
	int listener, fds[3], count = 0;

	(void)state;
	control_close(&control);
	listener = bound(path, SOCK_STREAM);
	assert_int_equal(listen(listener, 0), 0);
	fds[count++] = connected();
	assert_not_opened(path, -EADDRINUSE, S_IFSOCK);
	assert_not_opened(path, -EADDRINUSE, S_IFSOCK);
	while (count--)
		close(fds[count]);
	close(listener);
}

/* Another kind of socket belongs to another kind of program. */
static void test_foreign_socket(void **state)
{
	int fd;

	(void)state;
	control_close(&control);
	fd = bound(path, SOCK_DGRAM);
	assert_not_opened(path, -EPROTOTYPE, S_IFSOCK);
	close(fd);
}

static void test_no_socket_at_all(void **state)
{
	char text[8] = "";
	int fd;

	(void)state;
	control_close(&control);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	assert_int_equal(write(fd, "data", 4), 4);
	assert_not_opened(path, -EEXIST, S_IFREG);
	assert_int_equal(pread(fd, text, sizeof(text), 0), 4);
	close(fd);
	unlink(path);
	assert_int_equal(symlink("/tmp/no/such/file", path), 0);
	assert_not_opened(path, -EEXIST, S_IFLNK);
	unlink(path);
	assert_not_opened(folder, -EEXIST, S_IFDIR);
	assert_not_opened("/tmp/no/such/folder/s", -ENOENT, 0);
}

static void test_path_length(void **state)
{
	enum { ROOM = sizeof(((struct sockaddr_un *)0)->sun_path) };
	char where[ROOM + 1];

	(void)state;
	memset(where, 'x', sizeof(where));
	memcpy(where, path, strlen(path));
	where[ROOM] = '\0';
	assert_not_opened(where, -ENAMETOOLONG, 0);
	where[ROOM - 1] = '\0';
	control_close(&control);
	assert_int_equal(open_control(where, (gid_t)-1), 0);
	close(connect_to(where, SOCK_STREAM));
	control_close(&control);
	assert_int_equal(access(where, F_OK), -1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_mode),	TEST(test_group),	   TEST(test_close),
		TEST(test_no_socket),	TEST(test_stale_socket),   TEST(test_live_socket),
		TEST(test_busy_socket), TEST(test_foreign_socket), TEST(test_no_socket_at_all),
		TEST(test_path_length),
	};

	return cmocka_run_group_tests_name("control_socket", tests, NULL, NULL);
}
