// The camera: starting, stopping and switching it, and why it cannot be used.

/** What is wrong by the name of the browser's error. */
const REASONS = {
  NotAllowedError: "This browser was not allowed to use the camera",
  NotFoundError: "No camera was found",
  OverconstrainedError: "No such camera was found",
  NotReadableError: "The camera cannot be read: another program may use it",
};

/** The camera that is shown in a video element. */
export class Camera {
  /** @param {HTMLVideoElement} video */
  constructor(video) {
    this.video = video;
    this.stream = null;
    this.facing = "user";
  }

  get on() {
    return this.stream !== null;
  }

  /** Whether the camera looks at its user, who expects a mirror then. */
  get mirrored() {
    return this.on && (this.stream.getVideoTracks()[0].getSettings().facingMode ?? "user") === "user";
  }

  /**
   * Starts the camera. Throws an error whose message is a sentence for people.
   * @param {() => void} ended Called where the camera is unplugged, or taken away.
   */
  async start(ended) {
    if (!navigator.mediaDevices?.getUserMedia) {
      throw new Error(self.isSecureContext ? "This browser shows no camera to pages." : "Only https pages may use the camera.");
    }
    try {
      const wanted = { width: { ideal: 640 }, height: { ideal: 480 }, facingMode: this.facing };
      this.stream = await navigator.mediaDevices.getUserMedia({ video: wanted, audio: false });
    } catch (error) {
      throw new Error(`${REASONS[error.name] ?? `The camera cannot be used (${error.message})`}.`);
    }
    this.stream.getVideoTracks()[0].addEventListener("ended", ended);
    this.video.srcObject = this.stream;
    await this.video.play();
  }

  /** Switches the camera off. */
  stop() {
    for (const track of this.stream?.getTracks() ?? []) track.stop();
    this.stream = null;
    this.video.srcObject = null;
  }

  /** Takes the other camera at the next start. */
  turn() {
    this.facing = this.facing === "user" ? "environment" : "user";
  }

  /** Whether there are several cameras; known once one was allowed. */
  async isOneOfSeveral() {
    const devices = await navigator.mediaDevices.enumerateDevices();
    return devices.filter(({ kind }) => kind === "videoinput").length > 1;
  }
}
