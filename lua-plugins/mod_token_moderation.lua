-- The verified token decides who moderates a room. Loaded on the conference and the breakout component.
--
-- A moderator's token has `moderator: true`. Without that claim, `context.user.moderator: true` or a
-- `context.user.affiliation` of owner, moderator or teacher counts. Nothing else does, nor a text "true".
-- Its bearer is owner and moderator before the join is announced; everybody else joins without either.
--
-- Options, on the components:
--   token_moderation_moderators_may_grant  boolean, default false: who moderates by token may make another
--       occupant moderator, until that one leaves the room
--   token_moderation_passes_lobby          boolean, default true: a moderator's token is let through the lobby
--   token_moderation_host                  the host whose users have tokens; default muc_mapper_domain_base, else
--       the component's name without its first label
--   admins                                 Prosody's own: their roles are never touched, focus must be there

local jid = require "util.jid";
local modulemanager = require "core.modulemanager";
local sessionmanager = require "core.sessionmanager";

local may_grant = module:get_option_boolean("token_moderation_moderators_may_grant", false);
local passes_lobby = module:get_option_boolean("token_moderation_passes_lobby", true);
local token_host = module:get_option_string("token_moderation_host")
	or module:get_option_string("muc_mapper_domain_base")
	or module.host:match("^[^.]+%.(.+)$");
local admins = module:get_option_inherited_set("admins", {}) / jid.prep;

local teaching = { owner = true, moderator = true, teacher = true };
local own_write;

-- Claims -> whether they make a moderator. The top-level claim has the last word where it is given.
local function makes_moderator(claims)
	if claims.moderator ~= nil then return claims.moderator == true; end
	local context = claims.context;
	local user = type(context) == "table" and context.user;
	if type(user) ~= "table" then return false; end
	return user.moderator == true or teaching[user.affiliation] == true;
end

local function is_health_check(room)
	return jid.node(room.jid):sub(1, 21) == "__jicofo-health-check";
end

local function is_untouched(room, bare)
	return is_health_check(room) or admins:contains(bare) or jid.host(bare) ~= token_host;
end

-- Full JIDs of a person's sessions in the room, as a set.
local function sessions_inside(room, bare)
	local found = {};
	for _, occupant in room:each_occupant() do
		if occupant.bare_jid == bare then
			for real_jid in occupant:each_session() do found[real_jid] = true; end
		end
	end
	return found;
end

-- Several sessions share a bare JID only by resumption: the lowest of their tokens counts for all.
local function all_by_token(sessions)
	for real_jid in pairs(sessions) do
		local session = prosody.full_sessions[real_jid];
		if not (session and session.token_moderator) then return false; end
	end
	return true;
end

local function moderates_by_token(room, bare)
	local sessions = sessions_inside(room, bare);
	return next(sessions) ~= nil and all_by_token(sessions);
end

-- Writes past Prosody's rights check and this module's own.
local function write(room, bare, affiliation)
	own_write = { room = room, jid = bare, affiliation = affiliation };
	local ok, done, kind, condition = pcall(room.set_affiliation, room, true, bare, affiliation);
	own_write = nil;
	if not ok then error(done, 0); end
	if not done then
		module:log("error", "%s could not be made %s in %s: %s %s", bare, affiliation, room.jid, kind, condition);
	end
end

local function is_own_write(event)
	return own_write and own_write.room == event.room and own_write.jid == event.jid
		and own_write.affiliation == event.affiliation;
end

local function lower(room, bare)
	write(room, bare, room:get_members_only() and "member" or "none");
end

local function is_owner_or_admin(affiliation)
	return affiliation == "owner" or affiliation == "admin";
end

module:hook_global("jitsi-authentication-token-verified", function (event)
	event.session.token_moderator = makes_moderator(event.claims);
end);

-- A resumed stream brings its own token; the session that lives on takes over what that one says. Roles in the
-- rooms stay as they are until the next join.
if sessionmanager.update_session then -- Prosody 13
	module:hook_global("c2s-session-updated", function (event)
		event.session.token_moderator = event.from_session.token_moderator;
	end);
else
	local function watch(host)
		if host ~= token_host then return; end
		module:context(host):hook("smacks-hibernation-end", function (event)
			event.resumed.token_moderator = event.origin.token_moderator;
		end);
	end
	if prosody.hosts[token_host] then watch(token_host); else module:hook_global("host-activated", watch); end
end

-- In these events `occupant` is whoever has the nick already, if somebody has: the conflict comes after them all.
local function is_joining(event, bare)
	return event.occupant.bare_jid == bare and not is_untouched(event.room, bare);
end

-- Before the lobby (-4), members-only (-5), bans (-10) and passwords (-20): no more than what the lobby asks for.
if passes_lobby then
	module:hook("muc-occupant-pre-join", function (event)
		local room, bare = event.room, jid.bare(event.stanza.attr.from);
		if event.origin.token_moderator and is_joining(event, bare) and room:get_members_only()
			and (room:get_affiliation(bare) or "none") == "none" then
			write(room, bare, "member");
		end
	end, -3.5);
end

-- After everything that may refuse the join. Affiliation and role: the role was chosen before this event. An
-- affiliation is written only where it changes, since each write is announced to the whole room.
module:hook("muc-occupant-pre-join", function (event)
	local room, occupant, from = event.room, event.occupant, event.stanza.attr.from;
	local bare = jid.bare(from);
	if not is_joining(event, bare) then return; end
	local others = sessions_inside(room, bare);
	others[from] = nil;
	if event.origin.token_moderator and all_by_token(others) then
		if room:get_affiliation(bare) ~= "owner" then write(room, bare, "owner"); end
		occupant.role = "moderator";
	else
		if is_owner_or_admin(room:get_affiliation(bare)) then lower(room, bare); end
		if occupant.role == "moderator" then occupant.role = "participant"; end
	end
end, -100);

local function is_granted(room, actor, bare)
	return may_grant and actor and jid.host(bare) == token_host
		and next(sessions_inside(room, bare)) ~= nil and moderates_by_token(room, jid.bare(actor));
end

local function is_trusted(room, actor)
	local bare = jid.bare(actor);
	return admins:contains(bare) or moderates_by_token(room, bare);
end

-- Returning true ends the event: what hands on rights with a grant must not see a refused one.
module:hook("muc-pre-set-affiliation", function (event)
	local room, bare, actor, affiliation = event.room, event.jid, event.actor, event.affiliation;
	if is_own_write(event) or is_health_check(room) or admins:contains(bare) then return; end
	local by_token = moderates_by_token(room, bare);
	local refused;
	if is_owner_or_admin(affiliation) then
		-- Without an actor the server itself writes: rooms are made that way for focus and other logins. An owner by
		-- token is not made an admin.
		if by_token then
			refused = affiliation == "admin" and actor ~= nil;
		else
			refused = actor ~= nil or jid.host(bare) == token_host;
		end
		if refused and not by_token and is_granted(room, actor, bare) then
			room._data.token_moderation_grants = room._data.token_moderation_grants or {};
			room._data.token_moderation_grants[bare] = true;
			refused = false;
		end
	elseif affiliation == "outcast" then
		refused = by_token and actor ~= nil and not is_trusted(room, actor);
	else
		refused = by_token and actor ~= nil;
	end
	if not refused then return; end
	module:log("info", "%s may not make %s %s in %s", actor or "a module", bare, affiliation, room.jid);
	event.allowed = false;
	event.error = { type = "cancel", condition = "not-allowed" };
	return true;
end, 50);

module:hook("muc-pre-set-role", function (event)
	local room, bare, actor, role = event.room, event.occupant.bare_jid, event.actor, event.role;
	if is_health_check(room) or admins:contains(bare) then return; end
	local by_token = moderates_by_token(room, bare);
	local refused;
	if role == "moderator" then
		refused = not by_token and not is_granted(room, actor, bare);
	elseif role == nil then -- a kick
		refused = by_token and not is_trusted(room, actor);
	else
		refused = by_token;
	end
	if not refused then return; end
	module:log("info", "%s may not make %s %s in %s", actor, bare, role or "leave", room.jid);
	event.allowed, event.error, event.condition = false, "cancel", "not-allowed";
	return true;
end, 50);

-- A grant ends when its holder leaves. What a token gave is kept: breakout rooms read it from the main room.
module:hook("muc-occupant-left", function (event)
	local room, bare = event.room, event.occupant.bare_jid;
	local grants = room._data.token_moderation_grants;
	if not (grants and grants[bare]) or next(sessions_inside(room, bare)) ~= nil then return; end
	grants[bare] = nil;
	if is_owner_or_admin(room:get_affiliation(bare)) then lower(room, bare); end
end);

-- Jitsi's own module for this lifts bans and lets a pupil who takes a teacher's nick demote the teacher; beside it
-- no order of the two is harmless. The order in which modules load is not fixed.
local function stay_alone()
	if modulemanager.is_loaded(module.host, "token_affiliation") then
		module:log("error", "token_affiliation is unloaded from %s: it and token_moderation exclude each other; "
			.. "take it out of modules_enabled", module.host);
		modulemanager.unload(module.host, "token_affiliation");
	end
	if modulemanager.is_loaded(module.host, "muc_allowners") then
		module:log("error", "muc_allowners makes everybody owner, which token_moderation refuses, and people hang at "
			.. "the join; take it out of modules_enabled of %s", module.host);
	end
end

module:add_timer(0, stay_alone);
module:hook("module-loaded", function (event)
	if event.module == "token_affiliation" or event.module == "muc_allowners" then
		module:add_timer(0, stay_alone);
	end
end);
