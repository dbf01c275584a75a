-- Stand-in for tests: who somebody is, in presence, comes from the verified token where that has a user, as in Jitsi's
-- mod_presence_identity.

local function stamp(event)
	local session, stanza = event.origin, event.stanza;
	local user, group = session.jitsi_meet_context_user, session.jitsi_meet_context_group;
	-- Without a user what the client says stays, as with Jitsi's.
	if not user then return; end
	stanza:maptags(function (tag) if tag.name ~= "identity" then return tag; end end);
	stanza:tag("identity"):tag("user");
	for _, field in ipairs { "id", "name", "email", "avatar" } do
		if type(user[field]) == "string" then stanza:text_tag(field, user[field]); end
	end
	stanza:up();
	if type(group) == "string" then stanza:text_tag("group", group); end
	stanza:up();
end
module:hook("pre-presence/bare", stamp);
module:hook("pre-presence/full", stamp);
