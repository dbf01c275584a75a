-- The school's domain: token login, rooms, recorder and bridge logins.
--
-- It holds no secret: those are read from root-written files that the group prosody may read. So it may lie
-- here, readable, before the packages install, and their scripts leave it as it is. They search it for the
-- texts below, comments included; without any one of them they would patch it and restart Prosody:
--[[
authentication = "token" -- do not delete me
    (jitsi-meet-tokens looks for that line, at the start or indented)
    --"polls";
    (jitsi-meet-prosody comments out every such line when it finds none that is one already)
]]

-- Prosody 13 has Lua's own functions below the name Lua, 0.12 as they are.
local open = Lua and Lua.io.open or io.open

local function secret(name)
    -- While the host is being made the file may be missing: the option is unset then and logins fail.
    local file = open("/etc/prosody/secrets/" .. name)
    if not file then return nil end
    local text = file:read("*a"):gsub("%s+$", "")
    file:close()
    return text ~= "" and text or nil
end

component_admins_as_room_owners = true

muc_mapper_domain_base = "{{domain}}"

external_service_secret = secret "turn-secret"
external_services = {
    { type = "stun", host = "{{domain}}", port = 3478 };
    { type = "turn", host = "{{domain}}", port = 3478, transport = "udp", secret = true, ttl = 86400, algorithm = "turn" };
    { type = "turns", host = "{{domain}}", port = 5349, transport = "tcp", secret = true, ttl = 86400, algorithm = "turn" };
{{turnOn443}}}

-- nginx ends TLS.
consider_bosh_secure = true
consider_websocket_secure = true
-- The page and its signalling share one origin; nobody else needs CORS here.
http_cors_override = {
    bosh = { enabled = false };
    websocket = { enabled = false };
}

-- Exempt from mod_limits, which would slow them down and hold their dead connections open.
unlimited_jids = {
    "focus@auth.{{domain}}";
    "jvb@auth.{{domain}}";
    "jibri@auth.{{domain}}";
}

-- A client that stalls is noticed early, and may come back within a minute.
smacks_max_unacked_stanzas = 5
smacks_hibernation_time = 60
smacks_max_old_sessions = 1

VirtualHost "{{domain}}"
    authentication = "token" -- do not delete me
    app_id = "{{appId}}"
    app_secret = secret "jwt-secret"
    allow_empty_token = false
    asap_require_room_claim = true
    asap_accepted_issuers = { "{{appId}}" }
    asap_accepted_audiences = { "jitsi" }
    enable_domain_verification = true
{{rotationOptions}}
    ssl = {
        certificate = "/etc/prosody/certs/{{domain}}.crt";
        key = "/etc/prosody/certs/{{domain}}.key";
    }

    modules_enabled = {
        "bosh";
        "websocket";
        "smacks";
        "ping";
        "external_services";
        "features_identity";
        "conference_duration";
        "muc_lobby_rooms";
        "muc_breakout_rooms";
        "presence_identity"; -- name, id and avatar in presence come from the token
        "filter_iq_jibri"; -- refuses a recording to whom the token does not give it
{{hostModules}}    }

    main_muc = "conference.{{domain}}"
    lobby_muc = "lobby.{{domain}}"
    breakout_rooms_muc = "breakout.{{domain}}"
    muc_lobby_whitelist = { "recorder.{{domain}}" }
    room_metadata_component = "metadata.{{domain}}"

Component "conference.{{domain}}" "muc"
    restrict_room_creation = true
    storage = "memory"
    admins = { "focus@auth.{{domain}}" }
    muc_room_locking = false
    muc_room_default_public_jids = true
    modules_enabled = {
        "muc_hide_all";
        "muc_meeting_id";
        "muc_domain_mapper";
        "token_verification";
        "muc_rate_limit";
        "muc_password_whitelist";
{{conferenceModules}}    }
    -- The recorder has no token, and enters rooms with a password or a lobby.
    token_verification_allowlist = { "recorder.{{domain}}"{{withoutToken}} }
    muc_password_whitelist = { "recorder.{{domain}}"; "focus@auth.{{domain}}" }
    token_verification_require_token_for_moderation = true
{{conferenceOptions}}
Component "breakout.{{domain}}" "muc"
    restrict_room_creation = true
    storage = "memory"
    admins = { "focus@auth.{{domain}}" }
    muc_room_locking = false
    muc_room_default_public_jids = true
    modules_enabled = {
        "muc_hide_all";
        "muc_meeting_id";
        "muc_domain_mapper";
        "muc_rate_limit";
{{breakoutModules}}    }
{{breakoutOptions}}
Component "lobby.{{domain}}" "muc"
    storage = "memory"
    restrict_room_creation = true
    muc_room_locking = false
    muc_room_default_public_jids = true
    modules_enabled = {
        "muc_hide_all";
        "muc_rate_limit";
    }

-- The breweries, where bridges and recorders say what they can do.
Component "internal.auth.{{domain}}" "muc"
    storage = "memory"
    admins = { "focus@auth.{{domain}}"; "jvb@auth.{{domain}}"; "jibri@auth.{{domain}}"{{breweryAdmins}} }
    muc_room_locking = false
    muc_room_default_public_jids = true
    modules_enabled = {
        "muc_hide_all";
        "ping";
    }

-- Logins of the platform's own parts, always with a certificate of the stack's own authority.
VirtualHost "auth.{{domain}}"
    authentication = "internal_hashed"
    ssl = {
        certificate = "/etc/prosody/certs/auth.{{domain}}.crt";
        key = "/etc/prosody/certs/auth.{{domain}}.key";
    }
    modules_enabled = {
        "limits_exception";
        "smacks";
    }
    smacks_hibernation_time = 15

VirtualHost "recorder.{{domain}}"
    authentication = "internal_hashed"
    ssl = {
        certificate = "/etc/prosody/certs/auth.{{domain}}.crt";
        key = "/etc/prosody/certs/auth.{{domain}}.key";
    }
    modules_enabled = {
        "smacks";
    }

Component "focus.{{domain}}" "client_proxy"
    target_address = "focus@auth.{{domain}}"

Component "speakerstats.{{domain}}" "speakerstats_component"
    muc_component = "conference.{{domain}}"

Component "endconference.{{domain}}" "end_conference"
    muc_component = "conference.{{domain}}"

Component "avmoderation.{{domain}}" "av_moderation_component"
    muc_component = "conference.{{domain}}"

Component "filesharing.{{domain}}" "filesharing_component"
    muc_component = "conference.{{domain}}"

Component "metadata.{{domain}}" "room_metadata_component"
    muc_component = "conference.{{domain}}"
    breakout_rooms_component = "breakout.{{domain}}"

Component "polls.{{domain}}" "polls_component"

-- jitsi-meet-prosody copies jaas.cfg.lua to conf.avail unless it finds this text: VirtualHost "jigasi.meet.jitsi"
