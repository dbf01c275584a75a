-- Prosody's names for modules, and its own line length.
std = "lua54"
max_line_length = 120
globals = { prosody = { other_fields = true, read_only = false } }
read_globals = { module = { fields = { "host" }, other_fields = true } }
