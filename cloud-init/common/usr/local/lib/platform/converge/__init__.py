"""Makes a host what its host plan says. Entry: /usr/local/sbin/platform-converge."""
