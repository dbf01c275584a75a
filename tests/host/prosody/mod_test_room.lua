-- A focus that answers conference requests and makes the room, so that who joins it does not own it.
local st = require "util.stanza";
local jid = require "util.jid";

module:hook("iq-set/host/http://jitsi.org/protocol/focus:conference", function(event)
    local room = event.stanza.tags[1].attr.room;
    local muc = prosody.hosts[jid.host(room)].modules.muc;
    if not muc.get_room_from_jid(room) then muc.create_room(room); end
    event.origin.send(st.reply(event.stanza):tag("conference", {
        xmlns = "http://jitsi.org/protocol/focus", ready = "true", room = room;
    }));
    return true;
end);
