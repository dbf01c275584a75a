-- Stand-in for tests: a moderator's message ends the conference for all, as with Jitsi's mod_end_conference.

local muc = module:get_option_string("muc_component");

module:hook("message/host", function (event)
	local stanza = event.stanza;
	if not stanza:get_child("end_conference") then return; end
	local session = event.origin;
	local address = ("%s@%s"):format(session.jitsi_meet_room or "", muc);
	local rooms = prosody.hosts[muc] and prosody.hosts[muc].modules.muc;
	local room = rooms and rooms.get_room_from_jid(address);
	local occupant = room and room:get_occupant_by_real_jid(stanza.attr.from);
	if occupant and occupant.role == "moderator" then room:destroy(nil, "Conference ended by moderator."); end
	return true;
end);
