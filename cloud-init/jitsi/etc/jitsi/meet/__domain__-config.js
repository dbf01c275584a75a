/* Settings of the web client. What a person may do is decided by the server from the token, not here. */
var config = {
    hosts: {
        domain: '{{domain}}',
        muc: 'conference.{{domain}}',
        focus: 'focus.{{domain}}',
    },
    bosh: 'https://{{domain}}/http-bind',
    websocket: 'wss://{{domain}}/xmpp-websocket',
    websocketKeepAliveUrl: '',

    // The recorder is an occupant that nobody sees.
    hiddenDomain: 'recorder.{{domain}}',
    recordingService: { enabled: true, sharingEnabled: false, hideStorageWarning: true },
    localRecording: { disable: true, notifyAllParticipants: false },
    liveStreaming: { enabled: false },
    transcription: { enabled: false },

    // Lessons are recorded, so a third occupant is there: peer to peer would only switch back and forth.
    p2p: { enabled: false },
    useTurnUdp: true,

    resolution: 720,
    constraints: { video: { height: { ideal: 720, max: 720, min: 180 } } },
    channelLastN: 20,
    startAudioMuted: 10,
    startVideoMuted: 10,
    enableNoisyMicDetection: true,
    disableSimulcast: false,

    defaultLanguage: 'ru',
    prejoinConfig: { enabled: true },
    enableWelcomePage: false,
    enableClosePage: false,
    requireDisplayName: true,
    // Names come from the token.
    readOnlyName: true,
    doNotStoreRoom: true,
    enableInsecureRoomNameWarning: false,
    disableInviteFunctions: true,
    hideConferenceSubject: false,

    // Nothing is sent to anybody else.
    disableThirdPartyRequests: true,
    analytics: { disabled: true },
    gravatar: { disabled: true },
    giphy: { enabled: false },
    deploymentInfo: { shard: 'shard-{{shard}}' },
};
