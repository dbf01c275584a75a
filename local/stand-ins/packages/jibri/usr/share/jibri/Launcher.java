/**
 * Stand-in for Jibri: a Java process, started with Jibri's own options, that runs the recorder beside it. The recorder
 * ends when its standard input does, that is with this process, however that ends.
 */
public class Launcher {
  public static void main(String[] arguments) throws Exception {
    ProcessBuilder recorder = new ProcessBuilder(
        "/usr/bin/python3",
        "/usr/share/jibri/recorder.py",
        System.getProperty("config.file", "/etc/jitsi/jibri/jibri.conf"),
        System.getProperty("java.util.logging.config.file", "/etc/jitsi/jibri/logging.properties"));
    recorder.redirectOutput(ProcessBuilder.Redirect.INHERIT);
    recorder.redirectError(ProcessBuilder.Redirect.INHERIT);
    System.exit(recorder.start().waitFor());
  }
}
