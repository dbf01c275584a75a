import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.lang.reflect.Method;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import org.jitsi.xmpp.extensions.DefaultPacketExtensionProvider;
import org.jitsi.xmpp.extensions.colibri.ColibriStatsExtension;
import org.jitsi.xmpp.extensions.health.HealthStatusPacketExt;
import org.jitsi.xmpp.extensions.jibri.JibriBusyStatusPacketExt;
import org.jitsi.xmpp.extensions.jibri.JibriIq;
import org.jitsi.xmpp.extensions.jibri.JibriIqProvider;
import org.jitsi.xmpp.extensions.jibri.JibriStatusPacketExt;
import org.jitsi.xmpp.extensions.jibri.RecordingStatus;
import org.jitsi.xmpp.extensions.jitsimeet.ConferenceIq;
import org.jitsi.xmpp.extensions.jitsimeet.ConferenceIqProvider;
import org.jitsi.xmpp.extensions.jitsimeet.FeatureExtension;
import org.jitsi.xmpp.extensions.jitsimeet.FeaturesExtension;
import org.jitsi.xmpp.extensions.jitsimeet.IdentityPacketExtension;
import org.jitsi.xmpp.extensions.jitsimeet.JsonMessageExtension;
import org.jivesoftware.smack.SmackConfiguration;
import org.jivesoftware.smack.packet.ErrorIQ;
import org.jivesoftware.smack.packet.ExtensionElement;
import org.jivesoftware.smack.packet.IQ;
import org.jivesoftware.smack.packet.Presence;
import org.jivesoftware.smack.packet.StandardExtensionElement;
import org.jivesoftware.smack.packet.Stanza;
import org.jivesoftware.smack.packet.StanzaBuilder;
import org.jivesoftware.smack.packet.StanzaFactory;
import org.jivesoftware.smack.packet.UnparsedIQ;
import org.jivesoftware.smack.packet.id.StandardStanzaIdSource;
import org.jivesoftware.smack.provider.ProviderManager;
import org.jivesoftware.smack.util.PacketParserUtils;
import org.jxmpp.jid.Jid;
import org.jxmpp.jid.impl.JidCreate;

/**
 * Reads and writes stanzas with the classes that Jicofo, Jibri and the bridge use for theirs.
 *
 * One request a line on standard input, one answer a line on standard output, both JSON, until the input ends:
 *
 *   {"parse": XML of a stanza}
 *      → {"classes": simple names of the payload's classes, "unknown": names and namespaces of extensions without one,
 *         "xml": the stanza as those classes write it}
 *   {"make": class name of an IQ or a presence's extension, "with": {property: value}, "type", "from", "to", "id"}
 *      → {"xml": …}
 *
 * A property is set by its setter. Its value is a text (for an enum, the constant's name), a boolean, or an object
 * with the properties of another extension. What the classes do not know, or refuse, gives {"error": why}.
 */
public class Stanzas {
    private static final ObjectMapper json = new ObjectMapper();

    public static void main(String[] args) throws Exception {
        SmackConfiguration.getVersion();
        register();
        PrintStream out = new PrintStream(System.out, true, StandardCharsets.UTF_8);
        // A library's word on standard output would be taken for an answer.
        System.setOut(System.err);
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line; (line = in.readLine()) != null; ) {
            ObjectNode answer = json.createObjectNode();
            try {
                JsonNode request = json.readTree(line);
                if (request.has("parse")) parse(request.get("parse").asText(), answer);
                else answer.put("xml", make(request).toXML().toString());
            } catch (Throwable error) {
                answer.removeAll();
                for (Throwable cause = error; cause != null; cause = cause.getCause()) error = cause;
                answer.put("error", error.toString());
            }
            out.println(json.writeValueAsString(answer));
        }
    }

    private static void register() {
        ProviderManager.addIQProvider(ConferenceIq.ELEMENT, ConferenceIq.NAMESPACE, new ConferenceIqProvider());
        ProviderManager.addIQProvider(JibriIq.ELEMENT, JibriIq.NAMESPACE, new JibriIqProvider());
        JibriStatusPacketExt.registerExtensionProvider();
        JibriBusyStatusPacketExt.registerExtensionProvider();
        HealthStatusPacketExt.registerExtensionProvider();
        ProviderManager.addExtensionProvider(
            IdentityPacketExtension.ELEMENT, IdentityPacketExtension.NAMESPACE, new IdentityPacketExtension.Provider());
        extension(RecordingStatus.ELEMENT, RecordingStatus.NAMESPACE, RecordingStatus.class);
        extension(FeaturesExtension.ELEMENT, FeaturesExtension.NAMESPACE, FeaturesExtension.class);
        extension(FeatureExtension.ELEMENT, FeatureExtension.NAMESPACE, FeatureExtension.class);
        extension(JsonMessageExtension.ELEMENT, JsonMessageExtension.NAMESPACE, JsonMessageExtension.class);
        extension(ColibriStatsExtension.ELEMENT, ColibriStatsExtension.NAMESPACE, ColibriStatsExtension.class);
        extension(
            ColibriStatsExtension.Stat.ELEMENT, ColibriStatsExtension.NAMESPACE, ColibriStatsExtension.Stat.class);
    }

    private static <E extends org.jitsi.xmpp.extensions.AbstractPacketExtension> void extension(
            String element, String namespace, Class<E> type) {
        ProviderManager.addExtensionProvider(element, namespace, new DefaultPacketExtensionProvider<>(type));
    }

    private static void parse(String xml, ObjectNode answer) throws Exception {
        Stanza stanza = PacketParserUtils.parseStanza(xml);
        ArrayNode classes = answer.putArray("classes");
        ArrayNode unknown = answer.putArray("unknown");
        if (stanza instanceof UnparsedIQ) throw new IllegalArgumentException("no class for " + xml);
        if (stanza instanceof IQ && !(stanza instanceof ErrorIQ)) classes.add(stanza.getClass().getSimpleName());
        for (ExtensionElement extension : stanza.getExtensions()) {
            if (extension instanceof StandardExtensionElement)
                unknown.add("{" + extension.getNamespace() + "}" + extension.getElementName());
            else classes.add(extension.getClass().getSimpleName());
        }
        answer.put("xml", stanza.toXML().toString());
    }

    private static Stanza make(JsonNode request) throws Exception {
        Object payload = filled(Class.forName(request.get("make").asText()), request.path("with"));
        Stanza stanza;
        if (payload instanceof IQ) {
            IQ iq = (IQ) payload;
            iq.setType(IQ.Type.fromString(request.get("type").asText()));
            stanza = iq;
        } else {
            Presence presence = new StanzaFactory(new StandardStanzaIdSource()).buildPresenceStanza().build();
            presence.addExtension((ExtensionElement) payload);
            stanza = presence;
        }
        if (request.has("from")) stanza.setFrom(JidCreate.from(request.get("from").asText()));
        if (request.has("to")) stanza.setTo(JidCreate.from(request.get("to").asText()));
        if (request.has("id")) stanza.setStanzaId(request.get("id").asText());
        return stanza;
    }

    private static Object filled(Class<?> type, JsonNode properties) throws Exception {
        Object made = type.getDeclaredConstructor().newInstance();
        for (Map.Entry<String, JsonNode> property : properties.properties()) {
            Method setter = setter(type, property.getKey());
            setter.invoke(made, value(setter.getParameterTypes()[0], property.getValue()));
        }
        return made;
    }

    private static Method setter(Class<?> type, String property) {
        String name = "set" + Character.toUpperCase(property.charAt(0)) + property.substring(1);
        for (Method method : type.getMethods()) {
            if (method.getName().equals(name) && method.getParameterCount() == 1) return method;
        }
        throw new IllegalArgumentException(type.getSimpleName() + " has no property " + property);
    }

    @SuppressWarnings({"unchecked", "rawtypes"})
    private static Object value(Class<?> type, JsonNode given) throws Exception {
        if (type == String.class) return given.asText();
        if (type == Boolean.class || type == boolean.class) return given.asBoolean();
        if (type.isEnum()) return Enum.valueOf((Class<Enum>) type, given.asText());
        if (Jid.class.isAssignableFrom(type)) return type.cast(JidCreate.from(given.asText()));
        if (given.isObject()) return filled(type, given);
        throw new IllegalArgumentException("no way to make a " + type.getSimpleName());
    }
}
