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
    this.device = ""; // one that was switched to
    this.run = 0;
    this.wanted = false;
  }

  get on() {
    return this.stream !== null;
  }

  /** Whether the camera looks at its user, who expects a mirror then. */
  get mirrored() {
    return this.on && (this.stream.getVideoTracks()[0].getSettings().facingMode ?? "user") === "user";
  }

  /**
   * Starts the camera; where it is stopped before it is open, it stays off. Throws an error whose message is a sentence for
   * people.
   * @param {() => void} ended Called where the camera is unplugged, or taken away.
   */
  async start(ended) {
    const own = ++this.run;
    this.wanted = true;
    if (!navigator.mediaDevices?.getUserMedia) {
      throw new Error(self.isSecureContext ? "This browser shows no camera to pages." : "Only https pages may use the camera.");
    }
    const which = this.device ? { deviceId: { exact: this.device } } : { facingMode: "user" };
    let stream;
    try {
      const wanted = { width: { ideal: 640 }, height: { ideal: 480 }, ...which };
      stream = await navigator.mediaDevices.getUserMedia({ video: wanted, audio: false });
    } catch (error) {
      this.device = ""; // it may be gone
      throw new Error(`${REASONS[error.name] ?? `The camera cannot be used (${error.message})`}.`);
    }
    if (this.run !== own) {
      for (const track of stream.getTracks()) track.stop();
      return;
    }
    this.stream = stream;
    stream.getVideoTracks()[0].addEventListener("ended", ended);
    this.video.srcObject = stream;
    await this.video.play();
  }

  /** Switches the camera off. */
  stop() {
    this.run += 1;
    this.wanted = false;
    for (const track of this.stream?.getTracks() ?? []) track.stop();
    this.stream = null;
    this.video.srcObject = null;
  }

  /** Takes the camera after this one at the next start. */
  async turn() {
    const cameras = await this.#cameras();
    const now = this.stream?.getVideoTracks()[0].getSettings().deviceId;
    const next = cameras.findIndex(({ deviceId }) => deviceId === now) + 1;
    this.device = cameras[next % cameras.length]?.deviceId ?? "";
  }

  /** Whether there are several cameras; known once one was allowed. */
  async isOneOfSeveral() {
    return (await this.#cameras()).length > 1;
  }

  async #cameras() {
    const devices = await navigator.mediaDevices.enumerateDevices();
    return devices.filter(({ kind }) => kind === "videoinput");
  }
}
