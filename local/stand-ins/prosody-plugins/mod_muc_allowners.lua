-- Stand-in for tests: everybody who joins becomes owner, and a join waits for it, as with Jitsi's mod_muc_allowners.

local jid = require "util.jid";

local admins = module:get_option_inherited_set("admins", {}) / jid.prep;

module:hook("muc-occupant-pre-join", function (event)
	local room, bare = event.room, jid.bare(event.stanza.attr.from);
	if admins:contains(bare) or room:get_affiliation(bare) == "owner" then return; end
	-- Jitsi's starts the join anew once the grant is made; without it nothing follows.
	if room:set_affiliation(true, bare, "owner") then room:handle_normal_presence(event.origin, event.stanza); end
	return true;
end, 2);
