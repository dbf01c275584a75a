-- Stand-in for tests: with automatic owners, whoever counts as host is made owner after the join, as with Jitsi's
-- mod_muc_wait_for_host; here anybody with a token counts.

if module:get_option_boolean("wait_for_host_disable_auto_owners", false) then return; end

module:hook("muc-occupant-joined", function (event)
	local room, occupant = event.room, event.occupant;
	if event.origin and event.origin.auth_token then room:set_affiliation(true, occupant.bare_jid, "owner"); end
end);
