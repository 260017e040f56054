/* A webcam for programs that are started with this library in LD_PRELOAD: no Linux here has a camera.

   The device is a terminal (pty): each byte that a test writes into it is a frame. This library answers the requests of
   Video4Linux on it. In the directory V4L2_STANDIN:
     device           the path of the terminal
     YUYV-640x480     the frames in this format and size: before each, its length in 4 bytes, little-endian
     busy, metadata   if it exists: the device is in use by another program; it is one that gives no pictures
*/
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/videodev2.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define BUFFERS 4

static struct v4l2_pix_format format;
static unsigned fps = 30;
static FILE *frames;
static unsigned char *memory[BUFFERS];
static int queue[BUFFERS], queued;
static unsigned sequence;

static const char *path(const char *name) {
    static __thread char text[PATH_MAX];
    snprintf(text, sizeof text, "%s/%s", getenv("V4L2_STANDIN"), name);
    return text;
}

static int is_device(int fd) {
    char link[64], opened[PATH_MAX] = "", device[PATH_MAX] = "";
    if (!getenv("V4L2_STANDIN")) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    if (readlink(link, opened, sizeof opened - 1) < 0) return 0;
    FILE *file = fopen(path("device"), "r");
    if (!file) return 0;
    int is_read = fscanf(file, "%4095s", device) == 1;
    fclose(file);
    size_t length = strlen(device); /* it is followed by " (deleted)" when it is unplugged */
    return is_read && !strncmp(opened, device, length) && (!opened[length] || opened[length] == ' ');
}

static FILE *frames_of(unsigned fourcc, unsigned width, unsigned height) {
    char name[64];
    snprintf(name, sizeof name, "%.4s-%ux%u", (char *)&fourcc, width, height);
    return fopen(path(name), "rb");
}

static int fail(int number) {
    errno = number;
    return -1;
}

static int set_format(struct v4l2_format *wanted) {
    struct v4l2_pix_format *pix = &wanted->fmt.pix;
    if (!access(path("busy"), F_OK)) return fail(EBUSY);
    FILE *found = frames_of(pix->pixelformat, pix->width, pix->height);
    if (!found && (found = frames_of(pix->pixelformat, 640, 480))) pix->width = 640, pix->height = 480;
    if (!found) { /* as a driver does: another format that it has */
        pix->pixelformat = V4L2_PIX_FMT_YUYV;
        return 0;
    }
    if (frames) fclose(frames);
    frames = found;
    pix->field = V4L2_FIELD_NONE;
    pix->bytesperline = pix->pixelformat == V4L2_PIX_FMT_YUYV ? 2 * pix->width : 0;
    pix->sizeimage = 2 * pix->width * pix->height;
    format = *pix;
    return 0;
}

static int give_frame(int fd, struct v4l2_buffer *buffer) {
    unsigned char byte, head[4];
    if (read(fd, &byte, 1) != 1) return fail(ENODEV); /* unplugged */
    if (!queued) return fail(EINVAL);
    buffer->index = queue[0];
    memmove(queue, queue + 1, sizeof *queue * --queued);
    if (fread(head, 1, 4, frames) != 4) rewind(frames), fread(head, 1, 4, frames);
    buffer->bytesused = head[0] | head[1] << 8 | head[2] << 16 | (unsigned)head[3] << 24;
    fread(memory[buffer->index], 1, buffer->bytesused, frames);
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    buffer->timestamp.tv_sec = now.tv_sec, buffer->timestamp.tv_usec = now.tv_nsec / 1000;
    buffer->flags = V4L2_BUF_FLAG_TIMESTAMP_MONOTONIC;
    buffer->sequence = sequence++;
    return 0;
}

static int answer(int fd, unsigned long request, void *data) {
    struct v4l2_capability *capability = data;
    struct v4l2_format *wanted = data;
    struct v4l2_streamparm *rate = data;
    struct v4l2_requestbuffers *buffers = data;
    struct v4l2_buffer *buffer = data;
    switch (request) {
    case VIDIOC_QUERYCAP:
        memset(capability, 0, sizeof *capability);
        capability->capabilities = V4L2_CAP_STREAMING;
        capability->capabilities |= access(path("metadata"), F_OK) ? V4L2_CAP_VIDEO_CAPTURE : V4L2_CAP_META_CAPTURE;
        return 0;
    case VIDIOC_G_INPUT:
        return *(int *)data = 0;
    case VIDIOC_ENUMINPUT:
        return ((struct v4l2_input *)data)->index ? fail(EINVAL) : (((struct v4l2_input *)data)->std = 0);
    case VIDIOC_S_FMT:
        return set_format(wanted);
    case VIDIOC_G_FMT:
        wanted->fmt.pix = format;
        return 0;
    case VIDIOC_G_PARM:
    case VIDIOC_S_PARM:
        if (request == VIDIOC_S_PARM && rate->parm.capture.timeperframe.numerator)
            fps = rate->parm.capture.timeperframe.denominator / rate->parm.capture.timeperframe.numerator;
        rate->parm.capture.capability = V4L2_CAP_TIMEPERFRAME;
        rate->parm.capture.timeperframe.numerator = 1, rate->parm.capture.timeperframe.denominator = fps;
        FILE *said = fopen(path("fps"), "w");
        fprintf(said, "%u", fps);
        fclose(said);
        return 0;
    case VIDIOC_REQBUFS:
        buffers->count = buffers->count ? BUFFERS : 0;
        queued = 0;
        return 0;
    case VIDIOC_QUERYBUF:
        buffer->length = format.sizeimage;
        buffer->m.offset = buffer->index;
        return 0;
    case VIDIOC_QBUF:
        if (queued == BUFFERS) return fail(EINVAL);
        queue[queued++] = buffer->index;
        return 0;
    case VIDIOC_DQBUF:
        return give_frame(fd, buffer);
    case VIDIOC_STREAMON:
    case VIDIOC_STREAMOFF:
        return 0;
    }
    return fail(ENOTTY);
}

int ioctl(int fd, unsigned long request, ...) {
    va_list rest;
    va_start(rest, request);
    void *data = va_arg(rest, void *);
    va_end(rest);
    if (_IOC_TYPE(request) == 'V' && is_device(fd)) return answer(fd, request & 0xffffffff, data);
    int (*real)(int, unsigned long, ...) = dlsym(RTLD_NEXT, "ioctl");
    return real(fd, request, data);
}

void *mmap64(void *address, size_t length, int protection, int flags, int fd, off64_t offset) {
    void *(*real)(void *, size_t, int, int, int, off64_t) = dlsym(RTLD_NEXT, "mmap64");
    if (fd < 0 || offset >= BUFFERS || !format.sizeimage || !is_device(fd))
        return real(address, length, protection, flags, fd, offset);
    return memory[offset] = real(0, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

void *mmap(void *address, size_t length, int protection, int flags, int fd, off_t offset) {
    return mmap64(address, length, protection, flags, fd, offset);
}
