-- For tests: POST a stanza with any sender, and it is sent as a module of the server would. Answers to an IQ with its
-- answer, an error as the server's modules learn of it.

local async = require "util.async";
local jid = require "util.jid";
local st = require "util.stanza";
local xml = require "util.xml";

module:depends "http";

module:provides("http", {
	route = {
		["POST /"] = function (event)
			local stanza = assert(xml.parse(event.request.body, { allow_comments = false }));
			-- As rooms' modules do, whatever sender they write: by the component of the rooms.
			local user, host = jid.split(stanza.attr.from);
			local sender = module:context(user and module:get_option_string("main_muc") or host);
			stanza.attr.xmlns = nil;
			if stanza.name ~= "iq" then
				sender:send(stanza);
				return "";
			end
			local answered, refused = async.wait_for(sender:send_iq(stanza, nil, 60));
			return tostring(answered and answered.stanza or st.error_reply(stanza, refused.type, refused.condition));
		end;
	};
});
