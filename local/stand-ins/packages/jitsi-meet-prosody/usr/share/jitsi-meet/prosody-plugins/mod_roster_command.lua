-- Stand-in for the command of the same name: `prosodyctl mod_roster_command subscribe CONTACT USER@HOST`
-- puts CONTACT into the user's roster. A user who does not exist gets none, and that is no error.

local jid = require "util.jid";
local storagemanager = require "core.storagemanager";

function module.command(arg)
	local action, contact, account = arg[1], jid.prep(arg[2]), jid.prep(arg[3]);
	local user, host = jid.split(account);
	if action ~= "subscribe" or not contact or not user then
		print("usage: prosodyctl mod_roster_command subscribe CONTACT USER@HOST");
		return 1;
	end
	if not prosody.hosts[host] then
		print(host .. " is no host of this server");
		return 1;
	end
	storagemanager.initialize_host(host);
	if not storagemanager.open(host, "accounts"):get(user) then return 0; end
	local rosters = storagemanager.open(host, "roster");
	local roster = rosters:get(user) or { [false] = { version = 0 } };
	roster[contact] = { subscription = "both"; groups = {} };
	local ok, problem = rosters:set(user, roster);
	if not ok then
		print("the roster of " .. account .. " was not written: " .. tostring(problem));
		return 1;
	end
	return 0;
end
