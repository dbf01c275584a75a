-- For tests: POST the name of a host and of a module, and it is loaded there, as an administrator would by hand.

local modulemanager = require "core.modulemanager";

module:depends "http";
module:provides("http", {
	route = {
		["POST /"] = function (event)
			local host, name = event.request.body:match("^(%S+) (%S+)$");
			local loaded, problem = modulemanager.load(host, name);
			return loaded and "loaded" or tostring(problem);
		end;
	};
});
