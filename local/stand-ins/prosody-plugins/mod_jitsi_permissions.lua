-- Stand-in for tests: who makes somebody owner hands on the features of their own token, refused or not, as Jitsi's
-- mod_jitsi_permissions does it.

module:hook("muc-pre-set-affiliation", function (event)
	if event.affiliation ~= "owner" or not event.actor then return; end
	local actor = prosody.full_sessions[event.actor];
	if not actor then return; end
	for _, occupant in event.room:each_occupant() do
		if occupant.bare_jid == event.jid then
			for real_jid in occupant:each_session() do
				local session = prosody.full_sessions[real_jid];
				if session then session.granted_jitsi_meet_context_features = actor.jitsi_meet_context_features; end
			end
		end
	end
end);
