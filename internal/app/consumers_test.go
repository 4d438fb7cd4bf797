package app

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pion/webrtc/v4"
)

// Servers that know turn.secret make their users' credentials themselves.

// synapse is turn_shared_secret of a Matrix server: rest/client/voip.py.
func synapse(secret string) (user, password string) {
	expiry := time.Now().Add(time.Hour).Unix()
	user = fmt.Sprintf("%d:%s", expiry, "@alice:example.org")
	mac := hmac.New(sha1.New, []byte(secret))
	mac.Write([]byte(user))
	return user, base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// talk is a TURN server of Nextcloud Talk: Config::getTurnSettings.
func talk(secret string) (user, password string) {
	user = strconv.FormatInt(time.Now().Unix()+86400, 10) + ":" + rand.Text()[:16]
	mac := hmac.New(sha1.New, []byte(secret))
	mac.Write([]byte(user))
	return user, base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// relayed is a peer connection that uses nothing but the relay, with such a credential.
func relayed(t *testing.T, uri, user, password string) *webrtc.PeerConnection {
	t.Helper()
	var engine webrtc.SettingEngine
	engine.SetIncludeLoopbackCandidate(true)
	engine.SetRelayAcceptanceMinWait(0)
	pc, err := webrtc.NewAPI(webrtc.WithSettingEngine(engine)).NewPeerConnection(webrtc.Configuration{
		ICEServers:         []webrtc.ICEServer{{URLs: []string{uri}, Username: user, Credential: password}},
		ICETransportPolicy: webrtc.ICETransportPolicyRelay,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { pc.Close() })
	return pc
}

// A user of Synapse's and one of Nextcloud Talk's reach each other through the relay.
func TestMintedBySynapseAndTalk(t *testing.T) {
	t.Parallel()
	const secret = "a secret that three servers know"
	app := startApp(t, "turn.secret="+secret)
	uri := "turn:" + app.Addrs().TURN[0] + "?transport=udp"
	userA, passwordA := synapse(secret)
	userB, passwordB := talk(secret)
	echo(t, relayed(t, uri, userA, passwordA), relayed(t, uri, userB, passwordB))
}

// Janus asks as turnrest.c does, by GET or POST, with its key twice, and takes of the answer a text
// username, a text password, an integer ttl and URIs with a host, a port and a transport.
func TestFetchedByJanus(t *testing.T) {
	t.Parallel()
	app := startApp(t, "compat.turn_rest="+testRESTKey)
	key := url.QueryEscape(testRESTKey)
	query := "service=turn&api=" + key + "&key=" + key + "&username=janus-1234"
	var pair []*webrtc.PeerConnection
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		code, out := 0, turnREST{}
		if method == http.MethodGet {
			code, out = askTURNREST(t, app, method, query, "", "")
		} else {
			code, out = askTURNREST(t, app, method, "", "application/x-www-form-urlencoded", query)
		}
		if code != http.StatusOK || out.Username == "" || out.Password == "" || out.TTL <= 0 {
			t.Fatalf("%s: %d %+v", method, code, out)
		}
		for _, uri := range out.URIs {
			scheme, rest, _ := strings.Cut(uri, ":")
			address, transport, found := strings.Cut(rest, "?transport=")
			_, port, _ := strings.Cut(address, ":")
			if n, err := strconv.Atoi(port); scheme != "turn" && scheme != "turns" || !found ||
				transport != "udp" && transport != "tcp" || err != nil || n <= 0 {
				t.Errorf("Janus can't read %q", uri)
			}
		}
		pair = append(pair, relayed(t, out.URIs[0], out.Username, out.Password))
	}
	echo(t, pair[0], pair[1])
}
