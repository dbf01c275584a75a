-- No log line of this Prosody holds a token, whichever module writes it. Jitsi's token_verification writes the whole
-- token when it refuses a join; who reads the log could then join that room.
--
-- Global: enabled once, on any host. It has no options. Every sink of Prosody's `log` option is covered (file,
-- console, stdout, syslog), also after a reload.

module:set_global();

local format = require "util.format".format;
local loggingmanager = require "core.loggingmanager";

-- base64url of "{" and a quote, blank or line end: how the JSON of header and claims begins.
local TOKEN = "e[wy][%w_-]+%.e[wy][%w_-]+%.?[%w_-]*";

local function redacting(sink)
	return function (name, level, message, ...)
		local line = format(message, ...);
		if line:find(TOKEN) then line = line:gsub(TOKEN, "[token]"); end
		return sink(name, level, "%s", line);
	end
end

local wrapped = {};

local function nowhere()
	return function () end;
end

function module.load()
	for _, kind in ipairs { "file", "console", "stdout", "syslog" } do
		-- The only way to a maker of sinks is to put another in its place.
		local original = loggingmanager.register_sink_type(kind, nowhere);
		wrapped[kind] = original or nowhere;
		loggingmanager.register_sink_type(kind, function (config) return redacting(wrapped[kind](config)); end);
	end
	loggingmanager.reload_logging();
end

function module.unload()
	for kind, original in pairs(wrapped) do loggingmanager.register_sink_type(kind, original); end
	loggingmanager.reload_logging();
end
