// Command store is a stub of an S3 server for benchmarks: it answers from memory and costs as little as it can, so that
// what stands in front of it is measured.
//
// It verifies no signature. Objects whose key begins with "kept/" are kept, with what S3 answers about them; the bodies of
// all others are read and thrown away. Encryption headers are confirmed as S3 confirms them, because the gateway does not
// believe a success without that proof.
package main

import (
	"crypto/tls"
	"flag"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"sort"
	"strconv"
	"strings"
	"sync"
)

const (
	keptPrefix  = "kept/"
	listedKeys  = 1000
	bufferBytes = 256 << 10
	etag        = `"0123456789abcdef0123456789abcdef"`
)

var buffers = sync.Pool{New: func() any { b := make([]byte, bufferBytes); return &b }}

// Fields of a write that belong to the object and come back with it.
var storedFields = []string{"Content-Type", sse, sseAlgorithm, sseKeyMD5}

const (
	sse          = "X-Amz-Server-Side-Encryption"
	sseAlgorithm = "X-Amz-Server-Side-Encryption-Customer-Algorithm"
	sseKeyMD5    = "X-Amz-Server-Side-Encryption-Customer-Key-Md5"
	metaPrefix   = "X-Amz-Meta-"
)

type object struct {
	fields http.Header
	body   []byte
}

type part struct {
	number int
	size   int64
}

type upload struct {
	fields http.Header
	parts  []part
}

type store struct {
	mutex   sync.RWMutex
	objects map[string]*object
	uploads map[string]*upload
	listing []byte
}

func main() {
	address := flag.String("address", "", "host:port")
	certificate := flag.String("certificate", "", "PEM file")
	key := flag.String("key", "", "PEM file")
	flag.Parse()
	server := &http.Server{
		Addr:      *address,
		Handler:   &store{objects: map[string]*object{}, uploads: map[string]*upload{}, listing: renderListing()},
		TLSConfig: &tls.Config{MinVersion: tls.VersionTLS12},
		// HTTP/2 is what no S3 client speaks to S3.
		TLSNextProto: map[string]func(*http.Server, *tls.Conn, http.Handler){},
		ErrorLog:     log.New(os.Stderr, "", log.LstdFlags),
	}
	log.Fatal(server.ListenAndServeTLS(*certificate, *key))
}

func (s *store) ServeHTTP(answer http.ResponseWriter, request *http.Request) {
	query := request.URL.Query()
	bucket, key, _ := strings.Cut(strings.TrimPrefix(request.URL.Path, "/"), "/")
	answer.Header().Set("X-Amz-Request-Id", "0123456789ABCDEF")
	switch {
	case key == "" && request.Method == http.MethodGet && bucket != "":
		send(answer, http.StatusOK, "application/xml", s.listing)
	case key == "":
		answer.WriteHeader(http.StatusOK)
	case request.Method == http.MethodPost && query.Has("uploads"):
		s.beginUpload(answer, request, bucket, key)
	case query.Has("uploadId"):
		s.aboutUpload(answer, request, bucket, key, query.Get("uploadId"), query.Get("partNumber"))
	case request.Method == http.MethodPut:
		s.put(answer, request, bucket, key)
	case request.Method == http.MethodGet || request.Method == http.MethodHead:
		s.get(answer, request, bucket+"/"+key)
	default:
		answer.WriteHeader(http.StatusNoContent)
	}
}

func (s *store) put(answer http.ResponseWriter, request *http.Request, bucket, key string) {
	if strings.HasPrefix(key, keptPrefix) {
		body, err := payload(request)
		if err != nil {
			http.Error(answer, err.Error(), http.StatusBadRequest)
			return
		}
		s.mutex.Lock()
		s.objects[bucket+"/"+key] = &object{fields: fieldsOf(request.Header), body: body}
		s.mutex.Unlock()
	} else if _, err := discard(request); err != nil {
		return // the client went away
	}
	confirm(answer, request)
	answer.Header().Set("Etag", etag)
	answer.WriteHeader(http.StatusOK)
}

func (s *store) get(answer http.ResponseWriter, request *http.Request, name string) {
	s.mutex.RLock()
	found := s.objects[name]
	s.mutex.RUnlock()
	if found == nil {
		send(answer, http.StatusNotFound, "application/xml", []byte("<Error><Code>NoSuchKey</Code></Error>"))
		return
	}
	if found.fields.Get(sseKeyMD5) != request.Header.Get(sseKeyMD5) {
		send(answer, http.StatusBadRequest, "application/xml", []byte("<Error><Code>InvalidRequest</Code></Error>"))
		return
	}
	head := answer.Header()
	for name, values := range found.fields {
		head[name] = values
	}
	head.Set("Etag", etag)
	head.Set("Accept-Ranges", "bytes")
	head.Set("Last-Modified", "Thu, 01 Jan 2026 00:00:00 GMT")
	status, first, end := http.StatusOK, 0, len(found.body)
	if asked := request.Header.Get("Range"); asked != "" {
		status = http.StatusPartialContent
		first, end = span(asked, len(found.body))
		head.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", first, end-1, len(found.body)))
	}
	head.Set("Content-Length", strconv.Itoa(end-first))
	answer.WriteHeader(status)
	if request.Method == http.MethodGet {
		_, _ = answer.Write(found.body[first:end])
	}
}

func (s *store) beginUpload(answer http.ResponseWriter, request *http.Request, bucket, key string) {
	confirm(answer, request)
	s.mutex.Lock()
	id := fmt.Sprintf("upload-%d", len(s.uploads)+1)
	s.uploads[id] = &upload{fields: fieldsOf(request.Header)}
	s.mutex.Unlock()
	send(answer, http.StatusOK, "application/xml", []byte(fmt.Sprintf(
		"<InitiateMultipartUploadResult><Bucket>%s</Bucket><Key>%s</Key><UploadId>%s</UploadId></InitiateMultipartUploadResult>",
		bucket, key, id)))
}

func (s *store) aboutUpload(answer http.ResponseWriter, request *http.Request, bucket, key, id, number string) {
	size, err := discard(request)
	s.mutex.RLock()
	found := s.uploads[id]
	s.mutex.RUnlock()
	if err != nil || found == nil {
		answer.WriteHeader(http.StatusNotFound)
		return
	}
	// S3 names the encryption of an upload in every answer about it.
	if value := found.fields.Get(sse); value != "" {
		answer.Header().Set(sse, value)
	}
	switch request.Method {
	case http.MethodPut:
		parsed, _ := strconv.Atoi(number)
		s.mutex.Lock()
		found.parts = append(found.parts, part{parsed, size})
		s.mutex.Unlock()
		confirm(answer, request)
		answer.Header().Set("Etag", etag)
		answer.WriteHeader(http.StatusOK)
	case http.MethodGet:
		send(answer, http.StatusOK, "application/xml", s.renderParts(found, bucket, key, id))
	case http.MethodPost:
		confirm(answer, request)
		send(answer, http.StatusOK, "application/xml", []byte(fmt.Sprintf(
			"<CompleteMultipartUploadResult><Bucket>%s</Bucket><Key>%s</Key><ETag>%s</ETag></CompleteMultipartUploadResult>",
			bucket, key, etag)))
	default:
		answer.WriteHeader(http.StatusNoContent)
	}
}

func (s *store) renderParts(found *upload, bucket, key, id string) []byte {
	s.mutex.RLock()
	parts := append([]part{}, found.parts...)
	s.mutex.RUnlock()
	sort.Slice(parts, func(a, b int) bool { return parts[a].number < parts[b].number })
	var text strings.Builder
	fmt.Fprintf(&text, "<ListPartsResult><Bucket>%s</Bucket><Key>%s</Key><UploadId>%s</UploadId>"+
		"<MaxParts>1000</MaxParts><IsTruncated>false</IsTruncated>", bucket, key, id)
	for _, p := range parts {
		fmt.Fprintf(&text, "<Part><PartNumber>%d</PartNumber><LastModified>2026-01-01T00:00:00.000Z</LastModified>"+
			"<ETag>%s</ETag><Size>%d</Size></Part>", p.number, etag, p.size)
	}
	text.WriteString("</ListPartsResult>")
	return []byte(text.String())
}

func renderListing() []byte {
	var text strings.Builder
	fmt.Fprintf(&text, `<?xml version="1.0" encoding="UTF-8"?>`+"\n"+
		`<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>bench</Name><Prefix></Prefix>`+
		`<KeyCount>%d</KeyCount><MaxKeys>1000</MaxKeys><IsTruncated>false</IsTruncated>`, listedKeys)
	for n := 0; n < listedKeys; n++ {
		fmt.Fprintf(&text, `<Contents><Key>reports/2026/object-%04d</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified>`+
			`<ETag>&quot;0123456789abcdef0123456789abcdef&quot;</ETag><Size>%d</Size><StorageClass>STANDARD</StorageClass></Contents>`,
			n, 4096+n)
	}
	text.WriteString("</ListBucketResult>")
	return []byte(text.String())
}

// confirm says in an answer which encryption was asked for, as S3 does.
func confirm(answer http.ResponseWriter, request *http.Request) {
	for _, name := range []string{sse, sseAlgorithm, sseKeyMD5} {
		if value := request.Header.Get(name); value != "" {
			answer.Header().Set(name, value)
		}
	}
}

func fieldsOf(head http.Header) http.Header {
	kept := http.Header{}
	for name, values := range head {
		if strings.HasPrefix(name, metaPrefix) {
			kept[name] = values
		}
	}
	for _, name := range storedFields {
		if values := head[name]; values != nil {
			kept[name] = values
		}
	}
	return kept
}

func send(answer http.ResponseWriter, status int, kind string, body []byte) {
	answer.Header().Set("Content-Type", kind)
	answer.Header().Set("Content-Length", strconv.Itoa(len(body)))
	answer.WriteHeader(status)
	_, _ = answer.Write(body)
}

// discard reads a body to its end; the size is that of the payload where the request states it.
func discard(request *http.Request) (int64, error) {
	buffer := buffers.Get().(*[]byte)
	defer buffers.Put(buffer)
	var size int64
	for {
		count, err := request.Body.Read(*buffer)
		size += int64(count)
		if err == io.EOF {
			break
		}
		if err != nil {
			return size, err
		}
	}
	if decoded, err := strconv.ParseInt(request.Header.Get("X-Amz-Decoded-Content-Length"), 10, 64); err == nil {
		return decoded, nil
	}
	return size, nil
}

// payload is a body without its aws-chunked framing.
func payload(request *http.Request) ([]byte, error) {
	body := make([]byte, 0, max(request.ContentLength, 0))
	read, err := io.ReadAll(request.Body)
	if err != nil || !strings.Contains(request.Header.Get("Content-Encoding"), "aws-chunked") {
		return read, err
	}
	for {
		line, _, ok := strings.Cut(string(read[:min(len(read), 256)]), "\r\n")
		if !ok {
			return nil, fmt.Errorf("a chunk without its size")
		}
		digits, _, _ := strings.Cut(line, ";")
		size, err := strconv.ParseInt(digits, 16, 64)
		begin := int64(len(line)) + 2
		if err != nil || begin+size+2 > int64(len(read)) {
			return nil, fmt.Errorf("a chunk with a wrong size")
		}
		if size == 0 {
			return body, nil
		}
		body = append(body, read[begin:begin+size]...)
		read = read[begin+size+2:]
	}
}

// span is the part of a body that a range of the form first-last, first- or -count asks for.
func span(asked string, size int) (int, int) {
	from, to, _ := strings.Cut(strings.TrimPrefix(asked, "bytes="), "-")
	first, err := strconv.Atoi(from)
	if err != nil {
		count, _ := strconv.Atoi(to)
		return max(size-count, 0), size
	}
	last, err := strconv.Atoi(to)
	if err != nil {
		last = size - 1
	}
	return min(first, size), min(last+1, size)
}
