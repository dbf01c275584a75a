-- Who somebody is, for the others in a room, comes from the verified token alone. Loaded on the host with token login.
--
-- Jitsi's presence_identity puts the token's user into presence as `identity`, and takes out what the client wrote
-- there only when the token has a user. Clients show other parts as well: what is said in `nick`, `email` and
-- `avatar-url` is the token's name, email and avatar, or, with a token that has none, for email and avatar nothing
-- and for the name what the client says. No options.

local st = require "util.stanza";

local fields = { nick = "name"; email = "email"; ["avatar-url"] = "avatar"; }; -- element -> field of context.user

local function hold(event)
	local session = event.origin;
	local user = session.jitsi_meet_context_user or {};
	event.stanza:maptags(function (tag)
		if tag.name == "identity" then return nil; end
		local field = fields[tag.name];
		if not (field and session.auth_token) then return tag; end
		local said = user[field];
		if type(said) == "string" then return st.stanza(tag.name, tag.attr):text(said); end
		return field == "name" and tag or nil;
	end);
end

-- Before presence_identity (0). Chat shows the sender's `nick` of a message.
for _, event in ipairs { "pre-presence/bare", "pre-presence/full", "pre-message/bare", "pre-message/full" } do
	module:hook(event, hold, 1);
end
