-- For tests: POST `load` or `unload`, the name of a host and of a module, as an administrator would at the console.

local modulemanager = require "core.modulemanager";

module:depends "http";
module:provides("http", {
	route = {
		["POST /"] = function (event)
			local action, host, name = event.request.body:match("^(%S+) (%S+) (%S+)$");
			local done, problem = modulemanager[action](host, name);
			return done and "done" or tostring(problem);
		end;
	};
});
