-- Stand-in for tests: affiliations by context.user alone, written for all before bans and passwords are looked at, as
-- Jitsi's mod_token_affiliation does it. There to show what that does beside token_moderation.

local jid = require "util.jid";

local admins = module:get_option_inherited_set("admins", {}) / jid.prep;
local owners = { owner = true, moderator = true, teacher = true };

module:hook("muc-occupant-pre-join", function (event)
	local room, session = event.room, event.origin;
	local bare = jid.bare(event.stanza.attr.from);
	if admins:contains(bare) or not session.auth_token then return; end
	local user = session.jitsi_meet_context_user or {};
	local owner = owners[user.affiliation] or user.moderator == true or user.moderator == "true";
	event.occupant.role = owner and "moderator" or "participant";
	room:set_affiliation(true, event.occupant.bare_jid, owner and "owner" or "member");
end, -3.5);
