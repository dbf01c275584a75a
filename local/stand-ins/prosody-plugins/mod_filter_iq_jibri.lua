-- Stand-in for tests: starting and stopping a recording needs the token's feature, as in Jitsi's mod_filter_iq_jibri
-- (without its throttling).

local st = require "util.stanza";

module:hook("pre-iq/full", function (event)
	local session, stanza = event.origin, event.stanza;
	local jibri = stanza.attr.type == "set" and stanza:get_child("jibri", "http://jitsi.org/protocol/jibri");
	if not jibri then return; end
	local feature = jibri.attr.recording_mode == "stream" and "livestreaming" or "recording";
	local features = session.granted_jitsi_meet_context_features or session.jitsi_meet_context_features;
	local allowed = features and (features[feature] == true or features[feature] == "true");
	if session.auth_token and allowed then return; end
	session.send(st.error_reply(stanza, "auth", "forbidden"));
	return true;
end);
