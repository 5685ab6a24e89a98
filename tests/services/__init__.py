"""Real servers for the tests of every package.

One module per service. A service is located through an environment variable, else as a program on
PATH or one built into the cache, else through Docker if an engine responds. The servers in use are
listed at the end of the test run. A test requests a service with a fixture. If the service is
missing, the test is skipped with a reason, or fails if ``PYDATATASK_TEST_REQUIRE_SERVICES=1``.

The modules with fixtures are plugins loaded by the top-level ``conftest.py``; they import only
dependencies that each package needs for its own tests.
"""
