-- For tests of the host's own commands alone: a token opens the room that it names. Not Jitsi's module.
local st = require "util.stanza";
local jid = require "util.jid";

module:hook("muc-occupant-pre-join", function(event)
    if jid.node(event.room.jid) == event.origin.jitsi_meet_room then return; end
    event.origin.send(st.error_reply(event.stanza, "cancel", "not-allowed"));
    return true;
end, 99);
