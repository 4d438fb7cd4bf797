// What the trickle ICE page of webrtc/samples does: servers are JSON in the options of a list, all
// are gathered from at once, without media, and the last row guesses why one server gave nothing.
(() => {
  const at = (id) => document.getElementById(id);
  const cells = (...texts) => {
    const row = at("candidatesBody").insertRow();
    for (const text of texts) row.insertCell().textContent = text;
  };
  at("add").onclick = () => {
    const server = { urls: [at("url").value], username: at("username").value, credential: at("password").value };
    at("servers").add(new Option(server.urls[0], JSON.stringify(server)));
    at("url").value = at("username").value = at("password").value = "";
    keep();
  };
  at("remove").onclick = () => {
    for (const option of [...at("servers").selectedOptions]) option.remove();
    keep();
  };
  at("reset").onclick = () => {
    localStorage.clear();
    at("servers").replaceChildren();
  };
  // It keeps its servers, and looks whether it may use devices.
  const keep = () => localStorage.setItem("servers", JSON.stringify([...at("servers").options].map(
    ({ value }) => JSON.parse(value))));
  for (const server of JSON.parse(localStorage.getItem("servers") ?? "[]")) {
    at("servers").add(new Option(server.urls[0], JSON.stringify(server)));
  }
  navigator.mediaDevices.enumerateDevices();
  at("gather").onclick = async () => {
    const iceServers = [...at("servers").options].map(({ value }) => JSON.parse(value));
    const types = [], began = performance.now();
    const time = () => ((performance.now() - began) / 1000).toFixed(3);
    at("candidatesBody").replaceChildren();
    at("error").innerText = "";
    at("gather").disabled = true;
    const pc = new RTCPeerConnection({
      iceServers, iceTransportPolicy: document.querySelector("[name=transports]:checked").value,
      iceCandidatePoolSize: at("iceCandidatePool").value,
    });
    pc.onicecandidate = ({ candidate: c }) => {
      if (!c) return cells(time());
      if (!c.candidate) return;
      types.push(c.type);
      const priority = [c.priority >> 24, (c.priority >> 8) & 0xffff, c.priority & 0xff].join(" | ");
      cells(time(), c.component, c.type, c.foundation, c.protocol, c.address, c.port, priority);
    };
    pc.onicecandidateerror = ({ url, errorCode, errorText }) => {
      at("error").innerText += `The server ${url} returned an error with code=${errorCode}:\n${errorText}\n`;
    };
    pc.onicegatheringstatechange = () => {
      if (pc.iceGatheringState !== "complete") return;
      const isUDP = iceServers.length === 1 && /^turn:(?!.*transport=tcp)/.test(iceServers[0].urls[0]);
      const guess = types.includes("srflx") ? "Authentication failed?" : "Not reachable?";
      cells(time(), isUDP && !types.includes("relay") ? guess : "Done");
      pc.close();
      at("gather").disabled = false;
    };
    pc.setLocalDescription(await pc.createOffer({ offerToReceiveAudio: 1 }));
  };
})();
