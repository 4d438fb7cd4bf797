//go:build linux

package lab_test

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
	"time"

	"signalbox/internal/testkit"
	"signalbox/scripts/lab"
)

// keepsFile lets a test read what the page hands to the browser's downloads: a headless browser has
// nobody who chooses a file.
const keepsFile = `(() => {
	window.showSaveFilePicker = undefined;
	const make = URL.createObjectURL;
	URL.createObjectURL = (blob) => {
		window.labFile = blob;
		return make(blob);
	};
	window.labRead = async () => {
		const reader = new FileReader();
		await new Promise((resolve) => { reader.onload = resolve; reader.readAsDataURL(labFile); });
		return reader.result.slice(reader.result.indexOf(",") + 1);
	};
	return true;
})()`

// record has Ann, in a browser of some engine, record a call with Bo for a while, and returns the
// file and how long it should be. The script is for her page, before that.
func record(
	t *testing.T, engine lab.Engine, script string, during func(ann, bo *lab.Page),
) (file []byte, least time.Duration) {
	t.Helper()
	l := lab.New(t, lab.PortRestricted, lab.PortRestricted)
	server := lab.StartServer(t, l.Server, lab.Config)
	b := lab.StartBrowser(t, l.A, lab.BrowserOptions{})
	bo := enter(b, server, "Bo", "", lab.PageOptions{Locale: "zh-CN", Width: 390, Height: 844})
	if engine != lab.Chromium {
		b = lab.StartBrowser(t, l.A, lab.BrowserOptions{Engine: engine})
	}
	ann := enter(b, server, "Ann", "", lab.PageOptions{})
	watch(t, ann, 1)
	ann.Eval(keepsFile, nil)
	ann.Eval(script, nil)
	ann.Click("#record")
	ann.AwaitText(15*time.Second, "#record-mark", "you are recording")
	begun := time.Now()
	bo.AwaitText(10*time.Second, "#record-mark", "Ann 正在录制")
	during(ann, bo)
	least = time.Since(begun)
	ann.Click("#record")
	ann.AwaitText(20*time.Second, "#record-said", "is saved")
	bo.Await(10*time.Second, "the mark is gone", `document.querySelector("#record-mark").hidden`)
	var text string
	ann.Eval(`labRead()`, &text)
	file, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return file, least
}

// TestCallIsRecorded: everybody sees that the call is recorded, and the file has picture, sound and
// a duration.
func TestCallIsRecorded(t *testing.T) {
	besideOthers(t)
	file, least := record(t, lab.Chromium, "true", func(ann, bo *lab.Page) {
		ann.Audit("recording")
		ann.Shoot("recording")
		bo.Audit("recorded")
		bo.Shoot("recorded")
	})
	for _, codec := range []string{"V_VP8", "A_OPUS"} {
		if !bytes.Contains(file, []byte(codec)) {
			t.Errorf("the file has no %s", codec)
		}
	}
	_, after, found := bytes.Cut(file[:min(len(file), 4096)], []byte{0x44, 0x89, 0x88}) // Duration, of 8 bytes
	if !found {
		t.Fatal("the file has no duration")
	}
	got := time.Duration(math.Float64frombits(binary.BigEndian.Uint64(after))) * time.Millisecond
	if got < least || got > least+time.Minute {
		t.Errorf("it lasts %v, and was recorded for %v", got, least)
	}
}

// TestCallOffersWhatIsLeftOfARecording ends a tab that records. What it has written is offered once
// the page is opened again, and, as a download may be canceled, until it is deleted.
func TestCallOffersWhatIsLeftOfARecording(t *testing.T) {
	besideOthers(t)
	l := lab.New(t, lab.PortRestricted, lab.PortRestricted)
	server := lab.StartServer(t, l.Server, lab.Config)
	p := enter(lab.StartBrowser(t, l.A, lab.BrowserOptions{}), server, "Ann", "", lab.PageOptions{})
	const within = 20 * time.Second
	p.Eval(keepsFile, nil)
	p.Click("#record")
	p.Await(2*within, "some of it is on the browser's own disk", `(async () => {
		for await (const file of (await navigator.storage.getDirectory()).values()) {
			if (file.name.endsWith(".webm") && (await file.getFile()).size > 100_000) return true;
		}
	})()`)
	p.Reload()
	p.AwaitText(within, "#leftover", "was cut short: call-x-.*webm, 0.[1-9] MB")
	p.Audit("leftover")
	p.Shoot("leftover")
	p.Eval(keepsFile, nil)
	p.Click("#leftover-save")
	var text string
	p.Await(within, "it is handed to the browser's downloads", `window.labFile`)
	p.Eval(`labRead()`, &text)
	file, err := base64.StdEncoding.DecodeString(text)
	if err != nil || !bytes.Contains(file, []byte("V_VP8")) {
		t.Errorf("what was saved is no recording: %d bytes, %v", len(file), err)
	}
	p.AwaitText(within, "#leftover", "downloads were given call-x-.*save it again")
	p.Audit("copy")
	p.Shoot("leftover-copy")
	p.Click("#leftover-delete")
	p.AwaitText(within, "#leftover-delete", "for good")
	p.Click("#leftover-delete")
	p.Await(within, "it is offered no more", `document.querySelector("#leftover").hidden`)
}

// onlyMP4 has a browser record what Safari does, and Chromium where it has to.
const onlyMP4 = `(() => {
	const can = MediaRecorder.isTypeSupported;
	MediaRecorder.isTypeSupported = (type) => type.startsWith("video/mp4") && can.call(MediaRecorder, type);
	return true;
})()`

// TestLongRecordingIsPlayable has ffprobe read what each kind of browser records, and ffmpeg listen
// to it.
func TestLongRecordingIsPlayable(t *testing.T) {
	testkit.Long(t)
	lab.Require(t, "ffprobe", "ffmpeg")
	for _, tt := range []struct {
		name   string
		engine lab.Engine
		script string // in the page, before it records
		codecs []string
	}{
		{"webm", lab.Chromium, "true", []string{"vp8", "opus"}},
		{"mp4", lab.Chromium, onlyMP4, []string{"", "opus"}},
		{"firefox.webm", lab.Firefox, "true", []string{"vp8", "opus"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			file, least := record(t, tt.engine, tt.script, func(*lab.Page, *lab.Page) { time.Sleep(15 * time.Second) })
			path := filepath.Join(lab.Artifacts(t), "recording."+tt.name)
			if err := os.WriteFile(path, file, 0o600); err != nil {
				t.Fatal(err)
			}
			playable(t, path, least, tt.codecs)
			// Firefox mixes silence without anything to play on: PulseAudio's null sink will do.
			if tt.engine == lab.Chromium || os.Getenv("PULSE_SERVER") != "" {
				heard(t, path)
			}
		})
	}
}

// playable fails the test unless ffprobe finds a picture and sound of these codecs ("": any) in the
// file, both as long as it says that the file is, at least as long as it was recorded, and begun
// and ended together.
func playable(t *testing.T, path string, least time.Duration, codecs []string) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "ffprobe", "-v", "error", "-of", "json", "-show_entries",
		"format=duration:stream=codec_name,codec_type,width,height:packet=stream_index,pts_time", path).Output()
	if err != nil {
		t.Fatalf("ffprobe: %v\n%s", err, out)
	}
	var said struct {
		Format  struct{ Duration string }
		Streams []struct {
			Type          string `json:"codec_type"`
			Codec         string `json:"codec_name"`
			Width, Height int
		}
		Packets []struct {
			Stream int    `json:"stream_index"`
			At     string `json:"pts_time"` // in seconds
		}
	}
	if err := json.Unmarshal(out, &said); err != nil {
		t.Fatal(err)
	}
	seconds := func(text string) float64 {
		n, err := strconv.ParseFloat(text, 64)
		if err != nil {
			t.Errorf("ffprobe says %q for a number of seconds", text)
		}
		return n
	}
	duration := seconds(said.Format.Duration)
	if duration < least.Seconds() || duration > least.Seconds()+15 {
		t.Errorf("it lasts %.1f s, and was recorded for %v", duration, least)
	}
	if len(said.Streams) != 2 {
		t.Fatalf("it has %d streams, not a picture and sound", len(said.Streams))
	}
	for n, stream := range said.Streams {
		var first, last, gap float64
		count := 0
		for _, packet := range said.Packets {
			if packet.Stream != n {
				continue
			}
			at := seconds(packet.At)
			if count == 0 {
				first, last = at, at
			}
			gap = max(gap, at-last)
			last = at
			count++
		}
		t.Logf("%s (%s, %d x %d): %d packets from %.2f s to %.2f s of %.2f s, the longest gap %.2f s",
			stream.Type, stream.Codec, stream.Width, stream.Height, count, first, last, duration, gap)
		want := codecs[0]
		if stream.Type == "audio" {
			want = codecs[1]
		} else if stream.Width != 1280 || stream.Height != 720 {
			t.Errorf("its picture has %d x %d pixels", stream.Width, stream.Height)
		}
		if want != "" && stream.Codec != want {
			t.Errorf("its %s is %s, not %s", stream.Type, stream.Codec, want)
		}
		if first < -0.1 || first > 1 || last < duration-2 || gap > 2 || float64(count) < 2*duration {
			t.Errorf("its %s is not there all the time", stream.Type)
		}
	}
}

// heard fails the test unless the file's sound is that of the fake microphones, which is loud.
func heard(t *testing.T, path string) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "ffmpeg", "-nostdin", "-hide_banner", "-i", path, "-vn",
		"-af", "volumedetect", "-f", "null", "-").CombinedOutput()
	if err != nil {
		t.Fatalf("ffmpeg: %v\n%s", err, out)
	}
	found := regexp.MustCompile(`(?s)mean_volume: (-?[\d.]+) dB.*max_volume: (-?[\d.]+) dB`).FindSubmatch(out)
	if found == nil {
		t.Fatalf("ffmpeg says nothing of its sound:\n%s", out)
	}
	t.Logf("its sound has %s dB in the mean, %s dB at most", found[1], found[2])
	if most, err := strconv.ParseFloat(string(found[2]), 64); err != nil || most < -30 {
		t.Errorf("its loudest sound has %s dB", found[2])
	}
}
