//go:build linux

package lab_test

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
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

// record has Ann record a call with Bo for a while, and returns the file and how long it should be.
func record(t *testing.T, during func(ann, bo *lab.Page)) (file []byte, least time.Duration) {
	t.Helper()
	l := lab.New(t, lab.PortRestricted, lab.PortRestricted)
	server := lab.StartServer(t, l.Server, lab.Config)
	b := lab.StartBrowser(t, l.A, lab.BrowserOptions{})
	bo := enter(b, server, "Bo", "", lab.PageOptions{Locale: "zh-CN", Width: 390, Height: 844})
	ann := enter(b, server, "Ann", "", lab.PageOptions{})
	watch(t, ann, 1)
	ann.Eval(keepsFile, nil)
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
	file, least := record(t, func(ann, bo *lab.Page) {
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

// TestLongRecordingIsPlayable has ffprobe read what was recorded.
func TestLongRecordingIsPlayable(t *testing.T) {
	testkit.Long(t)
	lab.Require(t, "ffprobe")
	file, least := record(t, func(*lab.Page, *lab.Page) { time.Sleep(10 * time.Second) })
	path := filepath.Join(lab.Artifacts(t), "recording.webm")
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), "ffprobe", "-v", "error", "-show_entries",
		"format=duration:stream=codec_name,width,height", "-of", "default=noprint_wrappers=1", path).CombinedOutput()
	if err != nil {
		t.Fatalf("ffprobe: %v\n%s", err, out)
	}
	for _, want := range []string{"codec_name=vp8", "width=1280", "height=720", "codec_name=opus", "duration="} {
		if !strings.Contains(string(out), want) {
			t.Errorf("ffprobe doesn't say %s:\n%s", want, out)
		}
	}
	_, said, _ := strings.Cut(string(out), "duration=")
	seconds, err := strconv.ParseFloat(strings.TrimSpace(said), 64)
	if err != nil || seconds < least.Seconds() {
		t.Errorf("ffprobe says %v s (%v), and it was recorded for %v", seconds, err, least)
	}
}
