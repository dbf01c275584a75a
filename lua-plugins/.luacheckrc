-- Prosody's names for modules, and its own line length.
std = "lua54"
max_line_length = 120
read_globals = {
    "prosody",
    module = { fields = { "load", "unload", "host" }, other_fields = true, read_only = false },
}
