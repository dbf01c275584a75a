-- Stand-in for tests: a token opens the room that it names, as Jitsi's mod_token_verification does it.

local jid = require "util.jid";
local st = require "util.stanza";

local host = module:get_option_string("muc_mapper_domain_base");
local token_util = module:require "token/util".new(module:context(host));
if not token_util then return; end

local allowlist = module:get_option_set("token_verification_allowlist", {});
local needs_token = module:get_option_boolean("token_verification_require_token_for_moderation", false);
local admins = module:get_option_inherited_set("admins", {}) / jid.prep;

local function may_enter(session, stanza)
	local from = stanza.attr.from;
	local bare = jid.bare(from);
	if admins:contains(bare) or allowlist:contains(bare) or allowlist:contains(jid.host(from)) then return true; end
	if token_util:verify_room(session, stanza.attr.to) then return true; end
	-- The whole token, as Jitsi's does.
	module:log("error", "Token %s not allowed to join: %s", tostring(session.auth_token), tostring(stanza.attr.to));
	session.send(st.error_reply(stanza, "cancel", "not-allowed", "Room and token mismatched"));
	return false;
end

local function guard(event)
	if not may_enter(event.origin, event.stanza) then return true; end
end
module:hook("muc-room-pre-create", guard, 99);
module:hook("muc-occupant-pre-join", guard, 99);

if needs_token then
	module:hook("iq-set/bare/http://jabber.org/protocol/muc#owner:query", function (event)
		local origin, stanza = event.origin, event.stanza;
		local bare = jid.bare(stanza.attr.from);
		if admins:contains(bare) or (origin.auth_token and token_util:verify_room(origin, stanza.attr.to)) then return; end
		origin.send(st.error_reply(stanza, "auth", "forbidden"));
		return true;
	end, 99);
end
