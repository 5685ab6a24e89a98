"""Real servers for the tests of every package.

One module a service. A service is taken from an environment variable first, then from a program on
PATH or one that was built into the cache, then from Docker where an engine answers; which it was is
told at the end of a run. A test asks for a service by a fixture, and is skipped with a reason if
there is none, or fails where ``PYDATATASK_TEST_REQUIRE_SERVICES=1``.

The modules with fixtures are plugins that the ``conftest.py`` at the top level loads; they import
nothing that a package does not need for its own tests.
"""
