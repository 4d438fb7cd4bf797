// Which devices there are.

const KINDS = { audioinput: 'microphone', videoinput: 'camera', audiooutput: 'speaker' };

export class DeviceList {
  microphone = [];
  camera = [];
  speaker = [];

  async refresh() {
    const all = await navigator.mediaDevices.enumerateDevices();
    const found = { microphone: [], camera: [], speaker: [] };
    for (const device of all) found[KINDS[device.kind]]?.push(device);
    Object.assign(this, found);
  }

  // The name "default" stays when another device becomes it; its group doesn't.
  has(kind, { deviceId, groupId }) {
    return this[kind].some((device) => device.deviceId === deviceId && (!groupId || device.groupId === groupId));
  }
}
